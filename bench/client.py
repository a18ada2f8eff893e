"""What the benchmark asks of the platform, over HTTP, as any client does."""

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
LANGUAGES = {".ts": "assemblyscript", ".wat": "wat"}
INPUT = '{"a":1,"b":2}'
BODY = f'{{"input":{INPUT}}}'
OUTPUT = {"sum": 3}
_POLL = 0.01  # seconds between two looks at a function that is being compiled; a look costs both sides 2 ms
_PATIENCE = 90.0


class Client:
    """One connection to one server."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def register(self, name: str, file: str, *, comment: str = "") -> None:
        """Register a file of functions/ by this name; a `comment` makes its source one of its own."""
        path = FUNCTIONS / file
        source = path.read_text() + (f"// {comment}\n" if comment else "")
        body = {"name": name, "language": LANGUAGES[path.suffix], "source": source}
        self._checked(self._http.post("/functions", json=body))

    def register_module(self, name: str, module: bytes) -> None:
        """Register a module that is compiled already."""
        body = {"name": name, "language": "wasm", "source": base64.b64encode(module).decode()}
        self._checked(self._http.post("/functions", json=body))

    def await_ready(self, names: Sequence[str]) -> None:
        """Wait until all of them are READY. Raises BenchmarkFailed where one does not compile."""
        waiting = list(names)
        deadline = time.monotonic() + _PATIENCE
        while waiting:
            found = self._checked(self._http.get(f"/functions/{waiting[-1]}")).json()
            if found["status"] == "READY":
                waiting.pop()
            elif found["status"] == "FAILED" or time.monotonic() > deadline:
                raise BenchmarkFailed(f"{found['name']} is {found['status']}: {found['compileError']}")
            else:
                time.sleep(_POLL)

    def deploy(self, name: str, file: str) -> str:
        """Register, and wait until it is READY; its id."""
        self.register(name, file)
        self.await_ready([name])
        identity: str = self.get(f"/functions/{name}")["id"]
        return identity

    def execute(self, name: str, document: str = BODY) -> Any:
        """Execute, and give what comes back."""
        return self._checked(
            self._http.post(
                f"/functions/{name}/execute", content=document, headers={"Content-Type": "application/json"}
            )
        ).json()

    def add(self, name: str = "add") -> None:
        """Execute a function that adds, and make sure that it does."""
        if (answer := self.execute(name)).get("output") != OUTPUT:
            raise BenchmarkFailed(f"{name} answered {answer}")

    def get(self, path: str) -> Any:
        """Return the JSON document at `path`."""
        return self._checked(self._http.get(path)).json()

    def await_toolchain(self, language: str = "assemblyscript") -> None:
        """Wait until the compiler of a language has started. Raises BenchmarkFailed where it does not."""
        deadline = time.monotonic() + _PATIENCE
        while (state := self._http.get("/health").json()["toolchains"][language]) != "UP":
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"the compiler of {language} is {state}")
            time.sleep(0.02)

    def metric(self, series: str) -> float:
        """A number of GET /metrics, by its name and labels; 0 where it is not there yet."""
        for line in self._checked(self._http.get("/metrics")).text.splitlines():
            if line.startswith(f"{series} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def require_no_failures(self) -> None:
        """Raises BenchmarkFailed where executions of this server FAILED: wrk sees a 200 for those too."""
        if failed := self.metric('faas_executions_seconds_count{status="FAILED"}'):
            raise BenchmarkFailed(f"{failed:g} executions FAILED")

    @staticmethod
    def _checked(response: httpx.Response) -> httpx.Response:
        if not response.is_success:
            raise BenchmarkFailed(f"{response.request.method} {response.url}: {response.status_code} {response.text}")
        return response


@contextmanager
def client_of(server: Server) -> Iterator[Client]:
    """A client, for as long as its block."""
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http:
        yield Client(http)
