"""HTTP client of the benchmark."""

import base64
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.failure import BenchmarkFailed
from bench.servers import Server

FUNCTIONS = Path(__file__).with_name("functions")
LANGUAGES = {".as.ts": "assemblyscript", ".js": "javascript", ".py": "python", ".wat": "wat"}
INPUT = '{"a":1,"b":2}'
BODY = f'{{"input":{INPUT}}}'
OUTPUT = {"sum": 3}
_POLL_INTERVAL_SECONDS = 0.01  # of a function that is being compiled; one poll costs both sides 2 ms
_READY_TIMEOUT_SECONDS = 90.0


class Client:
    """Client with one connection to one server."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def create(self, name: str, file: str, *, comment: str = "", outbound: Sequence[str] = ()) -> None:
        """Create the function `name` from a file of functions/. A `comment` makes the source unique.

        It may make requests to the origins `outbound`.
        """
        path = FUNCTIONS / file
        mark = "#" if path.suffix == ".py" else "//"
        source = path.read_text() + (f"{mark} {comment}\n" if comment else "")
        settings = {"outbound": list(outbound)} if outbound else {}
        body = {"name": name, "language": LANGUAGES["".join(path.suffixes)], "source": source, "settings": settings}
        self._checked(self._http.post("/functions", json=body))

    def create_module(self, name: str, module: bytes) -> None:
        """Create a function from a compiled module."""
        body = {"name": name, "language": "wasm", "source": base64.b64encode(module).decode()}
        self._checked(self._http.post("/functions", json=body))

    def await_ready(self, names: Sequence[str]) -> None:
        """Wait until all functions are READY. Raises BenchmarkFailed if one does not compile."""
        waiting = list(names)
        deadline = time.monotonic() + _READY_TIMEOUT_SECONDS
        while waiting:
            found = self._checked(self._http.get(f"/functions/{waiting[-1]}")).json()
            if found["status"] == "READY":
                waiting.pop()
            elif found["status"] == "FAILED" or time.monotonic() > deadline:
                raise BenchmarkFailed(f"{found['name']} is {found['status']}: {found['compileError']}")
            else:
                time.sleep(_POLL_INTERVAL_SECONDS)

    def create_token(self, name: str, scope: str) -> str:
        """Make a token and return its text. The server asks for tokens from then on."""
        made: str = self._checked(self._http.post("/tokens", json={"name": name, "scopes": [scope]})).json()["token"]
        return made

    def deploy(self, name: str, file: str, *, outbound: Sequence[str] = ()) -> str:
        """Create a function, wait until it is READY and return its id."""
        self.create(name, file, outbound=outbound)
        self.await_ready([name])
        identity: str = self.get(f"/functions/{name}")["id"]
        return identity

    def revise(self, name: str, file: str, number: int) -> None:
        """Deploy a file of functions/ as another revision, unique by `number`, and wait until it is live."""
        path = FUNCTIONS / file
        source = path.read_text()
        if path.suffix == ".wat":
            source = source.replace("(module", f"(module (global i32 (i32.const {number}))", 1)
        else:
            source += f"export const revision = {number};\n"
        body = {"name": name, "language": LANGUAGES["".join(path.suffixes)], "source": source}
        deployed = self._checked(self._http.put(f"/functions/{name}", json=body)).json()["latest"]["revision"]
        deadline = time.monotonic() + _READY_TIMEOUT_SECONDS
        while (found := self.get(f"/functions/{name}"))["revision"] != deployed:
            if found["latest"]["status"] == "FAILED" or time.monotonic() > deadline:
                raise BenchmarkFailed(f"revision {deployed} of {name} is {found['latest']}")
            time.sleep(_POLL_INTERVAL_SECONDS)

    def promote(self, name: str, revision: int) -> None:
        """Make a revision the live one, if it is not."""
        self._checked(self._http.post(f"/functions/{name}/promote", json={"revision": revision}))

    def roll_back(self, name: str) -> None:
        """Make the revision live that was live before."""
        self._checked(self._http.post(f"/functions/{name}/rollback"))

    def execute(self, name: str, document: str = BODY) -> Any:
        """Execute a function and return the response."""
        return self._checked(
            self._http.post(
                f"/functions/{name}/execute", content=document, headers={"Content-Type": "application/json"}
            )
        ).json()

    def add(self, name: str = "add") -> None:
        """Execute a function that adds. Raises BenchmarkFailed when the sum is wrong."""
        if (answer := self.execute(name)).get("output") != OUTPUT:
            raise BenchmarkFailed(f"{name} answered {answer}")

    def get(self, path: str) -> Any:
        """Return the response of GET `path`."""
        return self._checked(self._http.get(path)).json()

    def await_toolchain(self, language: str = "assemblyscript") -> None:
        """Wait until the compiler of a language has started. Raises BenchmarkFailed on a timeout."""
        deadline = time.monotonic() + _READY_TIMEOUT_SECONDS
        while (state := self._http.get("/health").json()["toolchains"][language]) != "UP":
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"the compiler of {language} is {state}")
            time.sleep(0.02)

    def metric(self, series: str) -> float:
        """Return a value of GET /metrics by name and labels; 0 if it does not exist yet."""
        for line in self._checked(self._http.get("/metrics")).text.splitlines():
            if line.startswith(f"{series} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def require_no_failures(self) -> None:
        """Raise BenchmarkFailed if executions of this server FAILED: their HTTP status is 200, which wrk accepts."""
        if failed := self.metric('faas_executions_seconds_count{status="FAILED"}'):
            raise BenchmarkFailed(f"{failed:g} executions FAILED")

    @staticmethod
    def _checked(response: httpx.Response) -> httpx.Response:
        if not response.is_success:
            raise BenchmarkFailed(f"{response.request.method} {response.url}: {response.status_code} {response.text}")
        return response


@contextmanager
def client_of(server: Server) -> Iterator[Client]:
    """Open a client for a `with` block."""
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http:
        yield Client(http)
