"""A module that the author compiled: the source is its base64. Whether it can be run is checked like any other's."""

from faas.compile.outcome import Compiled, Rejected
from faas.queue import messages
from faas.runtime import Runtime


class WasmCompiler:
    """The language `wasm`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def compile(self, source: str) -> Compiled | Rejected:
        """Decode `source`."""
        try:
            return Compiled(messages.decode_binary(source))
        except ValueError as error:
            return Rejected(f"the source is not base64: {error}")

    def state(self) -> str:
        """See Compiler; the state of the runtime's precompiler."""
        return self._runtime.precompiler_state

    async def keep_warm(self) -> None:
        """Return at once: the worker processes are the runtime's; see Compiler."""

    async def close(self) -> None:
        """Do nothing: the worker processes are the runtime's; see Compiler."""
