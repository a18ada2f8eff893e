"""A service in this process whose functions are HTTP endpoints, in the languages of engines and in WebAssembly."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from faas.settings import Settings
from tests.helpers.endpoints import serving
from tests.helpers.support import Platform


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of all modules: native code of the Python engine is 12 s of processor time."""
    return tmp_path_factory.mktemp("endpoints")


@pytest.fixture(scope="module")
async def endpoints(module_database_url: str, data_dir: Path) -> AsyncIterator[Platform]:
    """A platform for the tests of a module, each of which has functions with names of its own."""
    settings = Settings(
        database_url=module_database_url,
        data_dir=data_dir,
        languages=("javascript", "python", "wat", "wasm"),
        database_pool=4,
        auth="off",  # another service on this database may have tokens
        time_limit=20,
    )
    async with serving(settings) as platform:
        yield platform
