"""A started server on this test's own database."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.helpers.server import EVERY_LANGUAGE, Server, client_of, serving
from tests.helpers.support import Platform


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    """`faas serve` with everything in it, the compiler too."""
    async with serving("--database-url", database_url, *EVERY_LANGUAGE) as started:
        yield started


@pytest.fixture
async def small_server(database_url: str) -> AsyncIterator[Server]:
    """`faas serve` without the AssemblyScript compiler."""
    async with serving("--database-url", database_url) as started:
        yield started


@pytest.fixture
async def served(server: Server, database_url: str) -> AsyncIterator[Platform]:
    """The server's API and its database."""
    async with client_of(server, database_url) as platform:
        yield platform


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder like an operator's."""
    folder = Path(tempfile.mkdtemp(prefix="faas-data-", dir="/tmp"))
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)
