"""Fixtures of e2e tests: servers that the tests of a process share, because each takes seconds of a processor to start."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.helpers.databases import DatabaseFactory
from tests.helpers.folders import make_data_folder
from tests.helpers.server import EVERY_LANGUAGE, Server, client_of, serving
from tests.helpers.support import Platform


class _Shared(NamedTuple):
    server: Server
    database_url: str


@pytest.fixture(scope="session")
async def _server_with_every_language(databases: DatabaseFactory) -> AsyncIterator[_Shared]:
    async with _shared(databases, *EVERY_LANGUAGE) as shared:
        yield shared


@pytest.fixture(scope="session")
async def _small_server(databases: DatabaseFactory) -> AsyncIterator[_Shared]:
    async with _shared(databases) as shared:
        yield shared


@asynccontextmanager
async def _shared(databases: DatabaseFactory, *arguments: str) -> AsyncIterator[_Shared]:
    async with databases.database() as url, serving("--database-url", url, *arguments) as server:
        yield _Shared(server, url)


@pytest.fixture
async def server(_server_with_every_language: _Shared) -> AsyncIterator[Server]:
    """A server with all languages but Python, without functions and secrets. Executions of other tests are on record."""
    yield _server_with_every_language.server
    await _clean(_server_with_every_language.server)


@pytest.fixture
async def small_server(_small_server: _Shared) -> AsyncIterator[Server]:
    """The same without compilers that take long to start: it accepts wat and wasm."""
    yield _small_server.server
    await _clean(_small_server.server)


@pytest.fixture
async def served(server: Server, _server_with_every_language: _Shared) -> AsyncIterator[Platform]:
    """The API and the database of `server`."""
    async with client_of(server, _server_with_every_language.database_url) as platform:
        yield platform


async def _clean(server: Server) -> None:
    """Delete all functions, then the secrets that they used."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http:
        for kind, key in (("functions", "id"), ("secrets", "name")):
            while found := (await http.get(f"/{kind}")).json():
                for one in found:
                    assert (await http.delete(f"/{kind}/{one[key]}")).status_code == 204


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory outside the folder of pytest, which other users cannot enter."""
    folder = make_data_folder("faas-data-")
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)
