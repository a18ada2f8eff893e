"""One runtime with the Python engine for each test process. The engine is built where it is missing."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from faas.bootstrap import open_local_runtime
from faas.settings import Settings
from tests.helpers.python_functions import PythonFunctions


@pytest.fixture(scope="session")
async def python(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PythonFunctions]:
    """Functions in Python."""
    folder: Path = tmp_path_factory.mktemp("python")
    settings = Settings(data_dir=folder, time_limit=60, compile_workers=1)
    async with open_local_runtime(settings) as local:
        yield PythonFunctions(local)
