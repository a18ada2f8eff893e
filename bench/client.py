"""HTTP client of the benchmark."""

import base64
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench import servers
from bench.failure import BenchmarkFailed
from bench.servers import Server

FUNCTIONS = Path(__file__).with_name("functions")
_LANGUAGES = {".as.ts": "assemblyscript", ".js": "javascript", ".py": "python", ".wat": "wat"}
INPUT = '{"a":1,"b":2}'
BODY = f'{{"input":{INPUT}}}'
OUTPUT = {"sum": 3}
_POLL_INTERVAL_SECONDS = 0.01  # of a function that is being compiled; one poll costs both sides 2 ms
_READY_TIMEOUT_SECONDS = 90.0
_WARM_TIMEOUT_SECONDS = 400.0  # the engine of Python is precompiled for minutes where the host is busy


def language_of(file: str) -> str:
    """Return the language of a file of functions/."""
    return _LANGUAGES["".join(Path(file).suffixes)]


def source_of(file: str, number: int | None = None) -> str:
    """Return the source of a file of functions/. With a `number`, its module differs from that with any other number.

    A comment is not enough: what it leaves out of the module is found in caches.
    """
    source = (FUNCTIONS / file).read_text()
    if number is None:
        return source
    if file.endswith(".wat"):
        return source.replace("(module", f"(module (global i32 (i32.const {number}))", 1)
    return source + ("" if file.endswith(".py") else "export const ") + f"revision = {number}\n"


class Client:
    """Client with one connection to one server."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def create(self, name: str, file: str, *, number: int | None = None, outbound: Sequence[str] = ()) -> None:
        """Create the function `name` from a file of functions/. A `number` makes it unique, as `source_of` says.

        It may make requests to the origins `outbound`.
        """
        settings = {"outbound": list(outbound)} if outbound else {}
        body = {"name": name, "language": language_of(file), "source": source_of(file, number), "settings": settings}
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
        body = {"name": name, "language": language_of(file), "source": source_of(file, number)}
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
        while (state := dict(self._toolchains())[language]) != "UP":
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"the compiler of {language} is {state}")
            time.sleep(0.02)

    def await_toolchains(self) -> None:
        """Wait until all compilers have started, so that none does during a measurement.

        Raises BenchmarkFailed on a timeout.
        """
        deadline = time.monotonic() + _WARM_TIMEOUT_SECONDS
        while waiting := [f"{name}: {state}" for name, state in self._toolchains() if state != "UP"]:
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"compilers have not started: {', '.join(waiting)}")
            time.sleep(0.05)

    def _toolchains(self) -> list[tuple[str, str]]:
        return list(self._http.get("/health").json()["toolchains"].items())

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


@contextmanager
def warm_faas(data_dir: Path, *options: str) -> Iterator[tuple[Server, Client]]:
    """Run `faas serve` with all its compilers started, and open a client."""
    with servers.faas(data_dir, *options) as server, client_of(server) as client:
        client.await_toolchains()
        yield server, client
