"""TypeScript: the types are replaced by spaces, and the rest is JavaScript. Types are not checked."""

import asyncio
import re

from faas.compile.code_frame import with_code_frame
from faas.compile.languages.assemblyscript import TOOLCHAIN, node_sandbox
from faas.compile.languages.javascript import take_image
from faas.compile.outcome import Compiled, CompileFailure
from faas.compile.snapshot import Snapshots
from faas.compile.surroundings import NONE, Surroundings
from faas.sandbox import LimitReached, WorkerPool, WorkerProcess

FILE = "function.ts"
_JAVASCRIPT = b"J"
_ANSWER_LIMIT_BYTES = 16 << 20  # the source is at most 1 MiB, and the answer as long

# What only AssemblyScript has. The types are looked for where types were removed, so not in texts and comments.
_ASSEMBLYSCRIPT = re.compile(r"""^[ \t]*import\b[^'"\n]*['"]json-as['"]|^[ \t]*@json\b""", re.MULTILINE)
_ASSEMBLYSCRIPT_TYPE = re.compile(r":\s*([iu](?:8|16|32|64|size)|f(?:32|64))\b")


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

    async def compile(self, source: str, surroundings: Surroundings = NONE) -> Compiled | CompileFailure:
        """Compile one source. Raises WorkerDied when a process ended, but not because of it."""
        try:
            answer = await self.pool.request(source.encode(), self._timeout)
        except LimitReached as limit:
            return CompileFailure(str(limit))
        text = answer[1:].decode()
        removed = answer[:1] == _JAVASCRIPT
        if found := _find_assemblyscript(source, text if removed else ""):
            return CompileFailure(_describe_assemblyscript(found))
        if removed:
            return await take_image(self._snapshots, text, source, FILE, surroundings)
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
        sandbox = node_sandbox("TypeScript compiler", [str(TOOLCHAIN / "strip_types.mjs")], memory=self._memory)
        return WorkerProcess(sandbox, answer_limit=_ANSWER_LIMIT_BYTES)


def _find_assemblyscript(source: str, javascript: str) -> str | None:
    """Return the part of `source` that makes it AssemblyScript, or None. `javascript` is `source` without types."""
    if found := _ASSEMBLYSCRIPT.search(source):
        return found[0].strip()
    for annotation in _ASSEMBLYSCRIPT_TYPE.finditer(source):
        name = annotation[1]
        declared = re.search(rf"\b(?:type|interface|class|enum)\s+{name}\b|\bimport\b[^;]*\b{name}\b", source)
        if javascript[annotation.start(1) : annotation.end(1)].isspace() and not declared:
            return f"the type {name}"
    return None


def _describe_assemblyscript(found: str) -> str:
    return (
        f"this is AssemblyScript ({found}), but the language is TypeScript: name the file .as.ts or .as, "
        "or pass --language assemblyscript"
    )
