"""Python: the source is evaluated in the Python engine, and the module is the image of its memory."""

from faas.compile.languages.javascript import take_image
from faas.compile.outcome import Compiled, CompileFailure
from faas.compile.snapshot import Snapshots
from faas.compile.surroundings import NONE, Surroundings

FILE = "function.py"


class PythonCompiler:
    """The language `python`."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    async def compile(self, source: str, surroundings: Surroundings = NONE) -> Compiled | CompileFailure:
        """Take the image of `source`. Raises WorkerDied when the process ended, but not because of it."""
        return await take_image(self._snapshots, source, source, FILE, surroundings)

    def state(self) -> str:
        """Return the state of the worker pool; see Compiler."""
        return self._snapshots.state()

    async def keep_warm(self) -> None:
        """Build the engine where it is missing, and keep the worker processes started; see Compiler."""
        await self._snapshots.keep_warm()

    async def close(self) -> None:
        """Kill the worker processes; see Compiler."""
        await self._snapshots.close()
