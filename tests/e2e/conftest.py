"""Fixtures of e2e tests: servers on the database of the test."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.helpers.server import EVERY_LANGUAGE, Server, client_of, serving
from tests.helpers.support import Platform


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    """A server with all languages, and one AssemblyScript compiler: each takes seconds of a processor to warm up."""
    async with serving("--database-url", database_url, "--compile-workers", "1", *EVERY_LANGUAGE) as started:
        yield started


@pytest.fixture
async def small_server(database_url: str) -> AsyncIterator[Server]:
    """A server without the AssemblyScript compiler."""
    async with serving("--database-url", database_url) as started:
        yield started


@pytest.fixture
async def served(server: Server, database_url: str) -> AsyncIterator[Platform]:
    """The API and the database of `server`."""
    async with client_of(server, database_url) as platform:
        yield platform


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory outside the folder of pytest, which other users cannot enter."""
    folder = Path(tempfile.mkdtemp(prefix="faas-data-", dir="/tmp"))
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)
