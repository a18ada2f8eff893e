"""Functions that are images of an engine: one engine module, and for each function its memory and its globals."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from faas.runtime import (
    EngineUnavailable,
    Limits,
    Outcome,
    Precompiler,
    Runtime,
    SealedCode,
    engine_modules,
    module_cache,
)
from faas.runtime.engine_module import EngineModule
from faas.runtime.engine_modules import EngineModules
from faas.runtime.images import Image, build
from faas.runtime.instance_pool import InstancePool
from tests.helpers.engines import ENGINE_PAGES, engine_binary, engine_digest, image_of, load_engine
from tests.helpers.guests import SHORT_LIMITS, SMALL_LIMITS, run_module, small_runtime
from tests.helpers.support import core_wat, wat


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    async with small_runtime(load_engine=load_engine) as opened:
        yield opened


async def test_image_runs_with_the_memory_and_globals_of_its_snapshot(runtime: Runtime) -> None:
    image = image_of(b'"hello"', global_values={"sp": 53, "steps": 55})
    assert await run_module(runtime, image, b'"m"') == Outcome(output=b'"hello"')
    assert await run_module(runtime, image, b'"s"') == Outcome(output=b"6")
    assert await run_module(runtime, image, b'"i"') == Outcome(output=b"8")


async def test_image_has_no_state_from_an_earlier_call(runtime: Runtime) -> None:
    image = image_of(b'"hello"')
    for _ in range(30):  # more than the pool has slots
        for command in (b'"c"', b'"s"', b'"i"'):
            assert await run_module(runtime, image, command) == Outcome(output=b"1")
        await run_module(runtime, image, b'"w"')
        assert await run_module(runtime, image, b'"m"') == Outcome(output=b'"hello"')


async def test_images_of_one_engine_do_not_see_each_other(runtime: Runtime) -> None:
    images = [image_of(b"%d" % number, writes={140_000: bytes([number]) * 5000}) for number in range(20)]
    for _ in range(3):
        outcomes = await asyncio.gather(*(run_module(runtime, image, b'"m"') for image in images))
        assert [outcome.output for outcome in outcomes] == [b"%d" % number for number in range(20)]


async def test_image_with_more_memory_than_its_engine(runtime: Runtime) -> None:
    last = 9 * 65536 - 1
    image = image_of(b'"large"', pages=9, writes={last: b"x", 5 * 65536: b"y" * 70_000})
    assert await run_module(runtime, image, b'"m"') == Outcome(output=b'"large"')
    assert (await run_module(runtime, image, b'"p"')).output == b'"p"'


async def test_images_share_one_precompilation_of_their_engine(runtime: Runtime) -> None:
    loads: list[bytes] = []

    async def counting_load(digest: bytes) -> bytes | None:
        loads.append(digest)
        return engine_binary()

    async with small_runtime(load_engine=counting_load) as counted:
        images = [image_of(b"%d" % number) for number in range(10)]
        outcomes = await asyncio.gather(*(run_module(counted, image, b'"m"') for image in images))
        assert [outcome.output for outcome in outcomes] == [b"%d" % number for number in range(10)]
        assert loads == [engine_digest()]


async def test_engines_that_are_linked_at_the_same_time_share_one_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the two engines of an upgrade are, each in a thread of its own: instances of two pools do not fit together."""
    both = threading.Barrier(2)
    made: list[InstancePool] = []

    def make(*arguments: Any, **options: Any) -> InstancePool:
        with suppress(threading.BrokenBarrierError):
            both.wait(timeout=3)  # as long as the other thread may take to get here
        made.append(InstancePool(*arguments, **options))
        return made[-1]

    async def load(digest: bytes) -> bytes | None:
        return next((engine_binary(version) for version in (1, 2) if engine_digest(version) == digest), None)

    monkeypatch.setattr(engine_modules, "InstancePool", make)
    async with small_runtime(load_engine=load) as opened:
        images = [image_of(b"%d" % version, version=version) for version in (1, 2)]
        outcomes = await asyncio.gather(*(run_module(opened, image, b'"m"') for image in images))
        assert [outcome.output for outcome in outcomes] == [b"1", b"2"]
        assert len(made) == 1


async def test_engine_module_comes_from_the_cache_on_disk_after_a_restart(tmp_path: Path) -> None:
    image = image_of(b"1")
    loads: list[bytes] = []

    async def counting_load(digest: bytes) -> bytes | None:
        loads.append(digest)
        return engine_binary()

    for _ in range(2):
        precompiler = Precompiler(stack=SMALL_LIMITS.stack, timeout=60, memory=2 << 30, workers=1, cache=tmp_path)
        async with Runtime(SMALL_LIMITS, precompiler, threads=2, cached_modules=4, load_engine=counting_load) as opened:
            assert await run_module(opened, image, b'"m"') == Outcome(output=b"1")
    assert len(loads) == 1


async def test_engine_module_is_loaded_ahead_only_from_the_cache_on_disk(tmp_path: Path) -> None:
    def opened() -> Runtime:
        precompiler = Precompiler(stack=SMALL_LIMITS.stack, timeout=60, memory=2 << 30, workers=1, cache=tmp_path)
        return Runtime(SMALL_LIMITS, precompiler, threads=2, cached_modules=4, load_engine=load_engine)

    async with opened() as first:
        await first.load_cached_engine(engine_digest())
        assert not first._engines.pools
        assert not first.precompiler_pool.processes
        assert await run_module(first, image_of(b"1"), b'"m"') == Outcome(output=b"1")
    async with opened() as second:
        await second.load_cached_engine(engine_digest())
        assert second._engines.pools
        assert await run_module(second, image_of(b"1"), b'"m"') == Outcome(output=b"1")
        assert not second.precompiler_pool.processes


async def test_engine_module_that_is_being_loaded_is_waited_for_when_the_runtime_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its thread uses the pool of instances: freed memory, if the pool were closed."""
    begun, goes_on = threading.Event(), threading.Event()
    made: list[InstancePool] = []

    def make(*arguments: Any, **options: Any) -> InstancePool:
        begun.set()
        assert goes_on.wait(60)
        made.append(InstancePool(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(engine_modules, "InstancePool", make)
    closed: list[object] = []
    for kind in (EngineModule, InstancePool, SealedCode):

        def close(self: object, close: Callable[[Any], None] = kind.close) -> None:
            closed.append(type(self))
            close(self)

        monkeypatch.setattr(kind, "close", close)
    engines = EngineModules(
        Precompiler(stack=SMALL_LIMITS.stack, timeout=60, memory=2 << 30, workers=1),
        SMALL_LIMITS,
        load_engine,
        instances=4,
    )
    loading = asyncio.create_task(engines.get(engine_digest()))
    await asyncio.to_thread(begun.wait, 60)
    closing = asyncio.create_task(engines.close())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not closing.done()
    goes_on.set()
    await closing
    assert closed == [EngineModule, SealedCode, InstancePool]
    assert len(made) == 1
    with pytest.raises(asyncio.CancelledError):
        await loading
    with pytest.raises(EngineUnavailable, match="the runtime is closed"):
        await engines.get(engine_digest())


async def test_engine_module_of_another_digest_is_refused() -> None:
    """A database may have been written by others: its engine would run the functions of all."""

    async def load(_digest: bytes) -> bytes:
        return engine_binary(2)

    async with small_runtime(load_engine=load) as runtime:
        error = (await run_module(runtime, image_of(b"1"), b'"m"')).error
        assert error == f"the engine {engine_digest().hex()[:16]} is damaged: its content does not have this digest"
        assert not runtime.precompiler_pool.processes


async def test_engine_module_is_copied_from_the_shared_folder_to_the_own_one(tmp_path: Path) -> None:
    own, shared = tmp_path / "own", tmp_path / "shared"

    def opened(own: Path | None) -> Runtime:
        precompiler = Precompiler(
            stack=SMALL_LIMITS.stack, timeout=60, memory=2 << 30, workers=1, cache=own, engine_cache=shared
        )
        return Runtime(SMALL_LIMITS, precompiler, threads=2, cached_modules=4, load_engine=load_engine)

    async with opened(None) as first:
        assert await run_module(first, image_of(b"1"), b'"m"') == Outcome(output=b"1")
    (made,) = shared.iterdir()
    async with opened(own) as second:
        await second.load_cached_engine(engine_digest())
        assert not second._engines.pools  # no function of this server has used it yet
        assert await run_module(second, image_of(b"1"), b'"m"') == Outcome(output=b"1")
        assert {process.pid for process in second.precompiler_pool.processes} == set()
    assert (own / made.name).read_bytes() == made.read_bytes()
    made.unlink()
    async with opened(own) as third:
        await third.load_cached_engine(engine_digest())
        assert third._engines.pools


async def test_engine_module_that_is_unknown_is_looked_for_again() -> None:
    known = False

    async def later(digest: bytes) -> bytes | None:
        return await load_engine(digest) if known else None

    async with small_runtime(load_engine=later) as runtime:
        image = image_of(b"1")
        first = await run_module(runtime, image, b'"m"')
        assert first.error
        assert f"needs the engine {engine_digest().hex()[:16]}" in first.error
        known = True
        assert await run_module(runtime, image, b'"m"') == Outcome(output=b"1")


async def test_image_says_the_contract_of_its_function(runtime: Runtime) -> None:
    assert await runtime.contract(image_of(b"1", contract="lambda")) == "lambda"


async def test_check_accepts_images_of_known_engines_only(runtime: Runtime) -> None:
    assert await runtime.check(image_of(b"1")) is None
    unknown = build(Image(engine=bytes(32), pages=4, segments=(), globals={}, contract="json"))
    assert "which neither this server nor its database has" in (await runtime.check(unknown) or "")


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image(engine=engine_digest(), pages=3, segments=(), globals={"sp": 0, "steps": 0}, contract="json"), "fewer"),
        (
            Image(engine=engine_digest(), pages=257, segments=(), globals={"sp": 0, "steps": 0}, contract="json"),
            "memory limit of 16 MiB",
        ),
        (Image(engine=engine_digest(), pages=4, segments=(), globals={"sp": 0}, contract="json"), "globals"),
        (
            Image(engine=engine_digest(), pages=4, segments=(), globals={"sp": 0, "steps": 0, "x": 0}, contract="json"),
            "globals",
        ),
        (
            Image(engine=engine_digest(), pages=4, segments=(), globals={"sp": 1 << 32, "steps": 0}, contract="json"),
            "more than 32 bits",
        ),
    ],
)
async def test_check_refuses_images_that_do_not_fit_their_engine(runtime: Runtime, image: Image, reason: str) -> None:
    assert reason in (await runtime.check(build(image)) or "")


async def test_check_refuses_what_only_looks_like_an_image(runtime: Runtime) -> None:
    marked = wat(core_wat()) + b"\0\x0c\x0bfaas.engine"
    assert "not a valid image" in (await runtime.check(marked) or "")


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("(module)", "no known calling convention"),
        (core_wat(extra='(global (export "g") (mut externref) (ref.null extern))'), "must be numbers"),
        (core_wat(extra="".join(f'(global (export "g{n}") (mut i32) (i32.const 0))' for n in range(9))), "not 9"),
        (core_wat(extra="(func $s (unreachable)) (start $s)"), "unreachable"),
        (core_wat().replace("(module", '(module (import "env" "x" (func))', 1), "import env.x is not provided"),
    ],
)
async def test_engine_module_that_cannot_be_one_is_refused(module: str, reason: str) -> None:
    binary = wat(module)

    async def load(_digest: bytes) -> bytes | None:
        return binary

    async with small_runtime(load_engine=load) as runtime:
        digest = hashlib.sha256(binary).digest()
        image = build(Image(engine=digest, pages=1, segments=(), globals={}, contract="json"))
        assert reason in ((await run_module(runtime, image)).error or "")


async def test_image_traps_and_limits_are_failures_of_the_call_alone(runtime: Runtime) -> None:
    image = image_of(b'"hello"')
    assert (await run_module(runtime, image, b'"t"')).error == "trap: unreachable code was reached in function 3"
    assert (await run_module(runtime, image, b'"l"', limits=SHORT_LIMITS)).error == "time limit of 300ms exceeded"
    assert await run_module(runtime, image, b'"g"') == Outcome(output=b'"g"')
    assert await run_module(runtime, image, b'"c"') == Outcome(output=b"1")


async def test_interrupt_ends_guests_of_engines_too() -> None:
    limits = Limits(time=60, memory=16 << 20, stack=256 << 10, input=1 << 20, output=1 << 20, logs=2000)
    precompiler = Precompiler(stack=limits.stack, timeout=60, memory=2 << 30, workers=1)
    async with Runtime(limits, precompiler, threads=2, cached_modules=4, load_engine=load_engine) as runtime:
        image = image_of(b"1")
        assert await run_module(runtime, image, b'"m"') == Outcome(output=b"1")
        looping = asyncio.create_task(run_module(runtime, image, b'"l"'))
        await asyncio.sleep(0.2)
        runtime.interrupt()
        assert (await asyncio.wait_for(looping, 10)).error == "interrupted: the server shut down"


async def test_module_cache_images_have_a_limit_in_bytes(monkeypatch: pytest.MonkeyPatch, runtime: Runtime) -> None:
    monkeypatch.setattr(module_cache, "MAX_IMAGE_BYTES", 20_000)
    images = [image_of(b"%d" % number, writes={ENGINE_PAGES * 65536 - 8000: b"x" * 8000}) for number in range(4)]
    loads: list[bytes] = []

    async def run(image: bytes) -> bytes | None:
        async def load() -> bytes:
            loads.append(image)
            return image

        return (await runtime.run(hashlib.sha256(image).digest(), load, b'"m"')).output

    for number in (0, 1, 0, 2, 0, 1):  # two of them fit; 2 replaces 1, the least recently used
        assert await run(images[number]) == b"%d" % number
    assert loads == [images[0], images[1], images[2], images[1]]
