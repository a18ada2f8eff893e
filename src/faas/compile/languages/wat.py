"""WebAssembly's text format, assembled by wasmtime's parser in a confined process of the runtime."""

from faas.compile.languages.wasm import without_engine
from faas.compile.outcome import Compiled, CompileFailure
from faas.compile.surroundings import NONE, Surroundings
from faas.runtime import Runtime

# A diagnostic quotes the whole source line, and a hostile source is one long line.
_DIAGNOSTIC_LINE_LIMIT_CHARACTERS = 400


class WatCompiler:
    """The language `wat`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def compile(self, source: str, _surroundings: Surroundings = NONE) -> Compiled | CompileFailure:
        """Assemble `source`. Raises WorkerDied when the process ended for an unknown reason."""
        assembled = await self._runtime.assemble(source)
        if isinstance(assembled, bytes):
            return without_engine(assembled)
        return CompileFailure(
            "\n".join(_truncate(line) for line in assembled.replace("<anon>", "function.wat").split("\n"))
        )

    def state(self) -> str:
        """Return the state of the runtime's precompiler; see Compiler."""
        return self._runtime.precompiler_state

    async def keep_warm(self) -> None:
        """Return at once: the worker processes are the runtime's; see Compiler."""

    async def close(self) -> None:
        """Do nothing: the worker processes are the runtime's; see Compiler."""


def _truncate(line: str) -> str:
    return line if len(line) <= _DIAGNOSTIC_LINE_LIMIT_CHARACTERS else f"{line[:_DIAGNOSTIC_LINE_LIMIT_CHARACTERS]}…"
