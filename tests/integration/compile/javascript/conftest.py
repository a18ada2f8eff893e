"""The compilers of JavaScript and TypeScript, and a runtime for what they make."""

from collections.abc import AsyncIterator, Iterator

import pytest

from faas import settings
from faas.bootstrap.compilers import open_local_runtime
from faas.runtime import kept_instances
from tests.helpers.instance_watch import InstanceWatch
from tests.helpers.local_functions import LocalFunctions


@pytest.fixture(scope="session")
async def functions() -> AsyncIterator[LocalFunctions]:
    async with open_local_runtime(settings.load({"time_limit": "60s", "memory_limit": "64MiB"})) as local:
        yield LocalFunctions(local)


@pytest.fixture
def watch(functions: LocalFunctions, monkeypatch: pytest.MonkeyPatch) -> Iterator[InstanceWatch]:
    """Watches the instances of a test. All of them must be the same as fresh ones."""
    # The instances of the tests before, which share the runtime, are soon thrown away for those of this one.
    monkeypatch.setattr(kept_instances, "WINDOW_CALLS", 24)
    watch = InstanceWatch(functions.local.runtime)
    yield watch
    watch.close()
    assert watch.different == []
