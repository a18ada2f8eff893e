"""One AssemblyScript compiler for a whole test process: it takes seconds to warm up."""

from collections.abc import AsyncIterator

import pytest

from faas.compile.languages.assemblyscript import AssemblyScriptCompiler


@pytest.fixture(scope="session")
async def compiler() -> AsyncIterator[AssemblyScriptCompiler]:
    """Compiles as the server does."""
    opened = AssemblyScriptCompiler(workers=1, timeout=20, memory=1 << 30, output_limit=8 << 20)
    await opened.warm_up()
    yield opened
    await opened.close()
