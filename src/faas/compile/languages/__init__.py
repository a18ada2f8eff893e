"""The compilers, one file for each language. A new language is a file here and a name in `faas.languages.Language`."""

from typing import Protocol

from faas.compile.outcome import Compiled, CompileFailure
from faas.compile.surroundings import NONE, Surroundings


class Compiler(Protocol):
    """Compiles sources of one language."""

    async def compile(self, source: str, surroundings: Surroundings = NONE) -> Compiled | CompileFailure:
        """Compile one source. `surroundings` matter where code at top level is evaluated.

        Raises WorkerDied when the compiler's process ended; the job is then redelivered.
        """

    def state(self) -> str:
        """Return `UP`, `WARMING` during the warm-up, or `DOWN: <reason>`."""

    async def keep_warm(self) -> None:
        """Keep the compiler's own worker processes started, until cancelled. Returns when there are none."""

    async def close(self) -> None:
        """Kill the compiler's own worker processes."""
