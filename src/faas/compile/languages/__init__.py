"""The compilers: one file per language. A new language is a file here and a name in `faas.queue.messages.Language`."""

from typing import Protocol

from faas.compile.outcome import Compiled, Rejected


class Compiler(Protocol):
    """Source in, module or diagnostics out. May raise WorkerDied: the job is then tried again."""

    async def compile(self, source: str) -> Compiled | Rejected:
        """Compile one source."""

    def state(self) -> str:
        """`UP`, `WARMING` while it gets ready, or `DOWN: why`."""

    async def keep_warm(self) -> None:
        """Keep the compiler's own worker processes started, until cancelled. Returns when there are none."""

    async def close(self) -> None:
        """Kill the compiler's own worker processes."""
