"""A Foundry without a port: the mock Foundry behind an ASGI transport, and an enricher that a test controls."""

from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import httpx

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.foundry.client import FoundryClient
from faas.compute_module.foundry.environment import DatasetRef, FoundryEnvironment
from faas.compute_module.foundry.http_client import FoundryHttpClient
from faas.compute_module.foundry.run import FoundryRunSpec, run_foundry
from faas.compute_module.mock_foundry.app import MockFoundry
from faas.compute_module.pipeline.enrichers.enricher import Enrichment
from faas.compute_module.pipeline.run_progress import RunProgress
from faas.compute_module.settings import RunSettings, WriteMode

IN = "ri.foundry.main.dataset.in"
OUT = "ri.foundry.main.dataset.out"
TOKEN = "s3cret-bearer-token"


class FakeEnricher:
    """Returns a company for every address that is not in `failing`; records the addresses in `asked`."""

    model = "fake"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failing: set[str] = set()

    async def enrich(self, email: str) -> Enrichment:
        self.asked.append(email)
        if email in self.failing:
            raise EnrichmentFailed("not found")
        return Enrichment(company=f"Company of {email}", title="CEO, owner")

    async def aclose(self) -> None:
        pass


Intercept = Callable[[httpx.Request], httpx.Response | None]


class Intercepting(httpx.AsyncBaseTransport):
    """Lets a test answer, or raise, in place of the mock Foundry."""

    def __init__(self, app: MockFoundry, intercept: Intercept | None) -> None:
        self._inner = httpx.ASGITransport(app=app)
        self._intercept = intercept

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._intercept(request) if self._intercept else None
        return answer or await self._inner.handle_async_request(request)


class World:
    """A mock Foundry with one input and one output; `run` does what the command does."""

    def __init__(self, folder: Path, *, stream: bool = False, branch: str = "master") -> None:
        self.folder = folder
        self.branch = branch
        (folder / "inputs").mkdir(parents=True)
        self.mock = MockFoundry(
            inputs=folder / "inputs", uploads=folder / "uploads", stream_rids=[OUT] if stream else [], token=TOKEN
        )
        self.enricher = FakeEnricher()
        self.progress = RunProgress()
        self.environment = FoundryEnvironment(
            api="http://foundry.test/api", stream_proxy="http://foundry.test/stream-proxy/api", token=TOKEN, aliases={}
        )

    def emails(self, *emails: str) -> None:
        """Replace the addresses of the input dataset."""
        (self.folder / "inputs" / f"{IN}.csv").write_text(
            "\n".join(["id,email", *[f"{number},{email}" for number, email in enumerate(emails)]]) + "\n"
        )

    async def run(
        self,
        mode: WriteMode = "auto",
        intercept: Intercept | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        **settings: Any,
    ) -> list[str]:
        """Execute one run and return its calls as `METHOD path`; `self.calls` has them too when it fails."""
        self.progress = RunProgress()
        self.enricher.asked.clear()
        self.mock.calls.clear()
        spec = FoundryRunSpec(DatasetRef(IN, "master"), DatasetRef(OUT, self.branch), mode, "enriched.csv")
        async with FoundryHttpClient(self.environment, transport or Intercepting(self.mock, intercept)) as http:
            client = FoundryClient(self.environment, http)
            await run_foundry(spec, client, self.enricher, RunSettings(**settings), self.progress)
        return self.calls

    @property
    def calls(self) -> list[str]:
        """The calls that the mock Foundry recorded in the last run."""
        return [f"{call.method} {call.path}" for call in self.mock.calls]

    def output(self) -> list[dict[str, str]]:
        """Return the rows of the output dataset."""
        import csv

        file = self.mock.datasets.table(OUT, self.branch)
        with file.open(newline="", encoding="utf-8") as lines:
            return list(csv.DictReader(lines))

    def records(self) -> list[MutableMapping[str, Any]]:
        """Return the records of the output stream."""
        return [*self.mock.streams.read(OUT, self.branch)]


def answering(method: str, path_end: str, *answers: httpx.Response) -> Intercept:
    """Return an intercept that gives `answers` to the first calls whose path ends with `path_end`."""
    left = list(answers)

    def intercept(request: httpx.Request) -> httpx.Response | None:
        if request.method == method and request.url.path.endswith(path_end) and left:
            return left.pop(0)
        return None

    return intercept
