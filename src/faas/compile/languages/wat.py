"""WebAssembly's text format, assembled by wasmtime's own parser in a confined process of the runtime's."""

from faas.compile.outcome import Compiled, Rejected
from faas.runtime import Runtime

_LINE_LIMIT = 400  # characters; a diagnostic quotes its whole line, and a hostile source is one long line


class WatCompiler:
    """The language `wat`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def compile(self, source: str) -> Compiled | Rejected:
        """Assemble `source`. Raises WorkerDied when the process ended without saying why."""
        assembled = await self._runtime.assemble(source)
        if isinstance(assembled, bytes):
            return Compiled(assembled)
        return Rejected("\n".join(_cut(line) for line in assembled.replace("<anon>", "function.wat").split("\n")))

    def state(self) -> str:
        """See Compiler; it is the runtime's."""
        return self._runtime.precompiler_state

    async def keep_warm(self) -> None:
        """Return at once: the worker processes are the runtime's; see Compiler."""

    async def close(self) -> None:
        """Do nothing: the worker processes are the runtime's; see Compiler."""


def _cut(line: str) -> str:
    return line if len(line) <= _LINE_LIMIT else f"{line[:_LINE_LIMIT]}…"
