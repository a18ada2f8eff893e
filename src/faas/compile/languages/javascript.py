"""JavaScript: the source is evaluated in the JavaScript engine, and the module is the image of its memory."""

from faas.compile.code_frame import with_code_frame
from faas.compile.outcome import Compiled, CompileFailure
from faas.compile.snapshot import Snapshot, Snapshots
from faas.compile.surroundings import NONE, Surroundings
from faas.engines import EngineMissing
from faas.runtime.abi.javascript_hints import with_hint

FILE = "function.js"


class JavaScriptCompiler:
    """The language `javascript`. `snapshots` may be shared with TypeScript."""

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


async def take_image(
    snapshots: Snapshots, source: str, shown: str, file: str, surroundings: Surroundings
) -> Compiled | CompileFailure:
    """Return the image of `source`. Errors show the author's text, `shown`, which has the same lines and columns."""
    try:
        taken = await snapshots.take(source, file, surroundings)
    except EngineMissing as missing:
        return CompileFailure(str(missing), of_source=False)
    if isinstance(taken, Snapshot):
        return Compiled(taken.binary)
    return CompileFailure(with_code_frame(with_hint(taken), shown, file))
