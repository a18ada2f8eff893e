"""A module that the author compiled: the source is its base64. Whether it can be run is checked like any other's."""

from faas import messages
from faas.compile.outcome import Compiled, Rejected


class WasmCompiler:
    """The language `wasm`."""

    async def compile(self, source: str) -> Compiled | Rejected:
        """Decode `source`."""
        try:
            return Compiled(messages.decode_binary(source))
        except ValueError as error:
            return Rejected(f"the source is not base64: {error}")

    def state(self) -> str:
        """Always there."""
        return "UP"
