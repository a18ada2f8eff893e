"""One AssemblyScript compiler for each test process, because its warm-up takes seconds."""

from collections.abc import AsyncIterator

import pytest

from faas.compile.languages.assemblyscript import AssemblyScriptCompiler


@pytest.fixture(scope="session")
async def compiler() -> AsyncIterator[AssemblyScriptCompiler]:
    """An AssemblyScript compiler as in the server."""
    opened = AssemblyScriptCompiler(workers=1, timeout=300, memory=2 << 30, output_limit=8 << 20)
    await opened.warm_up()
    yield opened
    await opened.close()
