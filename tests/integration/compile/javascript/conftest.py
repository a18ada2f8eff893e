"""The compilers of JavaScript and TypeScript, and a runtime for what they make."""

from collections.abc import AsyncIterator

import pytest

from faas import settings
from faas.bootstrap.compilers import open_local_runtime
from tests.helpers.local_functions import LocalFunctions


@pytest.fixture(scope="session")
async def functions() -> AsyncIterator[LocalFunctions]:
    async with open_local_runtime(settings.load({"time_limit": "2s", "memory_limit": "64MiB"})) as local:
        yield LocalFunctions(local)
