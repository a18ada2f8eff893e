"""Modules that the author compiled: the source is base64. They are checked like the output of any compiler."""

from faas.compile.outcome import Compiled, CompileFailure
from faas.compile.surroundings import NONE, Surroundings
from faas.queue import messages
from faas.runtime import Runtime, images


def without_engine(binary: bytes) -> Compiled | CompileFailure:
    """Return the author's module, unless it claims to be a function of one of the platform's engines."""
    if images.carries_engine(binary):
        return CompileFailure(
            "the module has a custom section faas.engine, which only the platform may write: remove it"
        )
    return Compiled(binary)


class WasmCompiler:
    """The language `wasm`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def compile(self, source: str, _surroundings: Surroundings = NONE) -> Compiled | CompileFailure:
        """Decode `source`."""
        try:
            return without_engine(messages.decode_binary(source))
        except ValueError as error:
            return CompileFailure(f"the source is not base64: {error}")

    def state(self) -> str:
        """Return the state of the runtime's precompiler, which precompiles the module; see Compiler."""
        return self._runtime.precompiler_state

    async def keep_warm(self) -> None:
        """Return at once: the worker processes are the runtime's; see Compiler."""

    async def close(self) -> None:
        """Do nothing: the worker processes are the runtime's; see Compiler."""
