"""TypeScript: the types are replaced by spaces, and the rest is JavaScript. Types are not checked."""

import asyncio
import re

from faas.compile.code_frame import with_code_frame
from faas.compile.languages.assemblyscript import TOOLCHAIN, node_sandbox
from faas.compile.languages.javascript import take_image
from faas.compile.outcome import Compiled, CompileFailure
from faas.compile.snapshot import Snapshots
from faas.sandbox import LimitReached, WorkerPool, WorkerProcess

FILE = "function.ts"
_JAVASCRIPT = b"J"
_ANSWER_LIMIT_BYTES = 16 << 20  # the source is at most 1 MiB, and the answer as long

_ASSEMBLYSCRIPT = re.compile(
    r"""^\s*import\b[^'"]*['"]json-as['"]|^\s*@json\b|:\s*(?:[iu](?:8|16|32|64)|f(?:32|64)|[iu]size)\b(?!\s*:)""",
    re.MULTILINE,
)


class TypeScriptCompiler:
    """The language `typescript`: types are removed in up to `workers` processes, and `snapshots` takes the image.

    A process that exceeds `timeout` seconds or `memory` bytes is killed and replaced.
    """

    def __init__(self, snapshots: Snapshots, *, workers: int, timeout: float, memory: int) -> None:
        self._snapshots = snapshots
        self._workers = workers
        self._timeout = timeout
        self._memory = memory
        self.pool = WorkerPool(self._spawn, workers)

    async def compile(self, source: str) -> Compiled | CompileFailure:
        """Compile one source. Raises WorkerDied when a process ended for an unknown reason."""
        compiled = await self._compile(source)
        if isinstance(compiled, CompileFailure) and (found := _ASSEMBLYSCRIPT.search(source)):
            return CompileFailure(f"{compiled.diagnostics}\n\n{_assemblyscript_hint(found[0])}")
        return compiled

    async def _compile(self, source: str) -> Compiled | CompileFailure:
        try:
            answer = await self.pool.request(source.encode(), self._timeout)
        except LimitReached as limit:
            return CompileFailure(str(limit))
        text = answer[1:].decode()
        if answer[:1] == _JAVASCRIPT:
            return await take_image(self._snapshots, text, source, FILE)
        return CompileFailure(with_code_frame(text, source, FILE))

    def state(self) -> str:
        """Return the state of the worker pools; see Compiler."""
        return self.pool.state if self._snapshots.state() == "UP" else self._snapshots.state()

    async def keep_warm(self) -> None:
        """Build the engine where it is missing, and keep the worker processes started; see Compiler."""
        await asyncio.gather(self.pool.keep_warm(self._workers), self._snapshots.keep_warm())

    async def close(self) -> None:
        """Kill the worker processes; see Compiler."""
        await self.pool.close()
        await self._snapshots.close()

    def _spawn(self) -> WorkerProcess:
        sandbox = node_sandbox([str(TOOLCHAIN / "strip_types.mjs")], memory=self._memory)
        return WorkerProcess(sandbox, answer_limit=_ANSWER_LIMIT_BYTES)


def _assemblyscript_hint(found: str) -> str:
    return (
        f"This looks like AssemblyScript ({' '.join(found.split())[:60]}), and the language is TypeScript. "
        "Name the file .as.ts, or pass --language assemblyscript"
    )
