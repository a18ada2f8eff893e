"""WebAssembly's text format, assembled by wasmtime's own parser: safe Rust, in a thread, no files involved."""

import asyncio

import wasmtime

from faas.compile.outcome import Compiled, Rejected


class WatCompiler:
    """The language `wat`."""

    async def compile(self, source: str) -> Compiled | Rejected:
        """Assemble `source`."""
        return await asyncio.to_thread(_assemble, source)

    def state(self) -> str:
        """Always there: it is part of this process."""
        return "UP"


def _assemble(source: str) -> Compiled | Rejected:
    try:
        return Compiled(bytes(wasmtime.wat2wasm(source)))
    except wasmtime.WasmtimeError as error:
        return Rejected(str(error).replace("<anon>", "function.wat"))
