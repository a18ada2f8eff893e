"""The client of the worker processes that take snapshots (worker.py): a source in, an image module out."""

import asyncio
import struct
import sys
import sysconfig
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import wasmtime

from faas.compile.snapshot import worker
from faas.compile.surroundings import NONE, Surroundings
from faas.engines import Engine, EngineCatalogue, EngineMissing, EngineName
from faas.runtime import EngineUnavailable, SealedCode, images
from faas.runtime.images import Contract, Image
from faas.runtime.precompile import worker as precompiler
from faas.sandbox import LimitReached, Sandbox, WorkerDied, WorkerPool, WorkerProcess
from faas.units import format_size

_TIME_LIMIT_SECONDS = 5.0  # of top-level code; an execution has its own limit
_ANSWER_MARGIN_SECONDS = 5.0  # reading and writing the answer, on a busy machine
_BUILD_RETRY_SECONDS = 60.0  # after a failed build of the engine
_BUILD_CHECK_SECONDS = 2.0  # for an engine that the first source, or another process, builds
_SLOW_BUILDS: frozenset[EngineName] = frozenset({"python"})  # half a minute of processor time
_ANSWER_LIMIT_BYTES = 256 << 20
_WORKER_BYTES = 256 << 20  # of memory beside the instance: the interpreter, the base, a second instance

EngineCode = Callable[[bytes], Awaitable[SealedCode]]


class Snapshot(msgspec.Struct, frozen=True):
    """An image module."""

    binary: bytes


class _Head(msgspec.Struct, frozen=True):
    contract: Contract
    globals: dict[str, int]
    pages: int


class Snapshots:
    """Takes the images of functions of one engine, in up to `workers` processes.

    `native_code` returns the native code of an engine by its digest, which the processes only read. `stack` and
    `memory` are the limits of an execution in bytes, those that the native code is for. The first use waits until the
    engine is there.
    """

    def __init__(
        self,
        name: EngineName,
        catalogue: EngineCatalogue,
        native_code: EngineCode,
        *,
        workers: int,
        stack: int,
        memory: int,
    ) -> None:
        self._name = name
        self._catalogue = catalogue
        self._load_native_code = native_code
        self._workers = workers
        self._stack = stack
        self._memory = memory
        self._engine: Engine | None = None
        self._native_code: SealedCode | None = None
        self._base: bytes | None = None
        self._kept_warm = False
        self._building = False
        self._missing = ""  # why there is no engine
        self.pool = WorkerPool(self._spawn, workers)

    async def take(self, source: str, file: str, surroundings: Surroundings = NONE) -> Snapshot | str:
        """Return the image of the function in `source`, or the author's error. `file` is its name in messages.

        Raises EngineMissing when the engine cannot be built or precompiled, and WorkerDied when the process ended for
        a reason that is not the source's.
        """
        engine = await self._open()
        configuration = b"" if surroundings == NONE else msgspec.json.encode(surroundings)
        request = worker.SOURCE + file.encode() + b"\n" + configuration + b"\n" + source.encode()
        try:
            answer = await self.pool.request(request, _TIME_LIMIT_SECONDS * 2 + _ANSWER_MARGIN_SECONDS)
        except LimitReached as limit:
            return str(limit)
        if answer[:1] == worker.AUTHOR_ERROR:
            return answer[1:].decode("utf-8", "replace")
        if self._base is None:
            try:
                self._base = await self.pool.request(worker.BASE, _ANSWER_MARGIN_SECONDS)
            except LimitReached as limit:
                raise WorkerDied(str(limit)) from None
        return await asyncio.to_thread(_image, engine, self._base, answer)

    def state(self) -> str:
        """Return the state of the worker pool; see Compiler."""
        if self._engine:
            return self.pool.state
        if self._missing:
            return f"DOWN: {self._missing}"
        if self._building or self._builds_ahead():
            return "WARMING"
        return "OFF: its engine is built for the first function"

    async def keep_warm(self) -> None:
        """Build the engine where it is missing, and keep all worker processes started, until cancelled.

        A slow build waits for the first source. Returns at once when another caller does all that already.
        """
        if self._kept_warm:
            return
        self._kept_warm = True
        while self._engine is None:
            try:
                if self._builds_ahead():
                    await self._open()
                else:
                    await asyncio.sleep(_BUILD_CHECK_SECONDS)
            except (EngineMissing, WorkerDied):
                await asyncio.sleep(_BUILD_RETRY_SECONDS)
        await self.pool.keep_warm(self._workers)

    async def close(self) -> None:
        """Kill all processes."""
        await self.pool.close()

    def _builds_ahead(self) -> bool:
        """Return True if the engine is there, or is quick to build."""
        return self._name not in _SLOW_BUILDS or self._catalogue.find(self._name) is not None

    async def _open(self) -> Engine:
        if self._engine is None:
            self._building = True
            try:
                engine = await self._catalogue.get(self._name)
                _check_memory_limit(engine, self._memory)
                self._native_code = await self._load_native_code(engine.digest)
                self._engine = engine
            except (EngineMissing, EngineUnavailable, LimitReached, WorkerDied) as missing:
                self._missing = str(missing)
                if isinstance(missing, (EngineMissing, WorkerDied)):
                    raise
                raise EngineMissing(f"the {self._name} engine cannot be used: {missing}") from None
            finally:
                self._building = False
        return self._engine

    def _spawn(self) -> WorkerProcess:
        assert self._native_code
        packages = Path(wasmtime.__file__).parent.parent
        libraries = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
        program = (
            f"import runpy, sys; sys.path.append({str(packages)!r}); runpy.run_path(sys.argv[1], run_name='__main__')"
        )
        code, config = self._native_code, Path(precompiler.__file__)
        arguments = [
            *(self._name, code.descriptor, code.size, config),
            *(self._stack, self._memory, _TIME_LIMIT_SECONDS),
        ]
        sandbox = Sandbox(
            name=f"{self._name} snapshots",
            command=[sys.executable, "-I", "-S", "-c", program, worker.__file__, *map(str, arguments)],
            readable=[packages, Path(worker.__file__), config, Path(sys.base_prefix, "lib"), *libraries],
            memory=self._memory + _WORKER_BYTES,
            memory_files=True,  # without /proc, wasmtime maps the initial memory of the engine from one
            descriptor=code.descriptor,
        )
        return WorkerProcess(sandbox, answer_limit=_ANSWER_LIMIT_BYTES)


def _check_memory_limit(engine: Engine, limit: int) -> None:
    needed = images.initial_memory_bytes(engine.binary)
    if limit < needed:
        raise EngineMissing(
            f"the memory limit of {format_size(limit)} is too small for the {engine.name} engine, which needs "
            f"{format_size(needed)}: raise FAAS_MEMORY_LIMIT"
        )


def _image(engine: Engine, base: bytes, answer: bytes) -> Snapshot:
    (size,) = struct.unpack_from(">I", answer, 1)
    head = msgspec.json.decode(answer[5 : 5 + size], type=_Head)
    pages = {}
    for start in range(5 + size, len(answer), 4 + images.PAGE_BYTES):
        (number,) = struct.unpack_from(">I", answer, start)
        pages[number * images.PAGE_BYTES] = answer[start + 4 : start + 4 + images.PAGE_BYTES]
    image = Image(
        engine=engine.digest,
        pages=head.pages,
        segments=images.difference(base, pages),
        globals=head.globals,
        contract=head.contract,
    )
    return Snapshot(images.build(image))
