"""Kept instances: every byte of memory and every global is the image's at the start of every call."""

import asyncio
import hashlib
import random
import re
import struct
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import msgspec
import pytest

from faas.runtime import Runtime, abi, kept_instances, pagemap, restorable_instance
from faas.runtime.abi import core
from faas.runtime.c_api import ffi
from faas.runtime.engine_module import FunctionImage
from faas.runtime.image_memory import ImageMemory
from faas.runtime.images import build, parse
from faas.runtime.instance import Instance
from faas.runtime.instance_pool import MAX_WARM_ENGINE_SLOTS
from faas.runtime.restorable_instance import RestorableInstance
from tests.helpers.engines import ENGINE_WAT, engine_memory, image_of, load_engine
from tests.helpers.guests import SHORT_LIMITS, SMALL_LIMITS, run_module, small_runtime
from tests.helpers.support import wat

FUNCTIONS = 6
LARGE_PAGES = 160  # 2,560 pages of 4 KiB
MIN_REUSES = 100  # calls whose instance had served another one before, of more than 2,000
LARGE = 100_000  # bytes of an input with which a call runs in a thread: no tick ends it, and it has one instance
I32, I64 = 0, 1  # kinds of wasmtime_val_t

# Each function has other memory and other globals. 3 and 4 have more memory than the engine.
IMAGES = [
    image_of(
        b'"function %d"' % number,
        pages={3: 9, 4: LARGE_PAGES}.get(number, 4),
        writes={8000 * number + 30_000: bytes([number]) * 6000, 250_000: b"%d" % number},
        global_values={"sp": 48 + number, "steps": 2**40 + number},
    )
    for number in range(FUNCTIONS)
]

scanner_needed = pytest.mark.skipif(pagemap.open_scanner() is None, reason="this kernel has no PAGEMAP_SCAN")


def expected_memory(binary: bytes) -> bytes:
    image = parse(binary)
    memory = engine_memory() + bytes(image.pages * 65536 - len(engine_memory()))
    for segment in image.segments:
        memory[segment.offset : segment.offset + len(segment.data)] = segment.data
    return bytes(memory)


EXPECTED = [expected_memory(image) for image in IMAGES]


def memory_of(instance: Instance) -> bytes:
    content: bytes = ffi.buffer(instance.memory_address, instance.memory_size)[:]
    return content


class Auditor:
    """Compares each instance with its image when a call begins. The input is a string: a command and a number."""

    def __init__(self) -> None:
        self.calls: Counter[Instance] = Counter()
        self.different: list[str] = []

    def invoke(self, instance: Instance, input_json: bytes, output_limit: int) -> bytes:
        number = int(input_json[2:3])
        self.calls[instance] += 1
        if memory_of(instance) != EXPECTED[number]:
            self.different.append(f"memory of {number} before call {self.calls[instance]} of its instance")
        if instance.globals() != [(I32, 48 + number), (I64, 2**40 + number)]:
            self.different.append(f"globals of {number} before call {self.calls[instance]} of its instance")
        return core.CONVENTION.invoke(instance, input_json, output_limit)


@pytest.fixture
def auditor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Auditor]:
    auditor = Auditor()
    convention = msgspec.structs.replace(core.CONVENTION, invoke=auditor.invoke)
    monkeypatch.setattr(abi, "ENGINE_CONVENTIONS", (convention,))
    yield auditor
    assert auditor.different == []


@pytest.fixture
async def runtime(auditor: Auditor, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    """A runtime that keeps an instance from the first call of a function."""
    monkeypatch.setattr(kept_instances, "PROMOTION_CALLS", 1)
    monkeypatch.setattr(kept_instances, "WINDOW_CALLS", 1)
    async with small_runtime(threads=8, load_engine=load_engine) as opened:
        yield opened


async def call(runtime: Runtime, number: int, command: str, size: int = 0) -> bytes | str | None:
    limits = SHORT_LIMITS if command == "l" else SMALL_LIMITS  # the loop alone ends at the time limit
    document = b'"%s%d%s"' % (command.encode(), number, b"x" * size)
    outcome = await run_module(runtime, IMAGES[number], document, limits=limits)
    return outcome.error or outcome.output


def kept_by(runtime: Runtime) -> int:
    return len(runtime.kept_instances.idle)


@scanner_needed
async def test_kept_instance_serves_many_calls(runtime: Runtime, auditor: Auditor) -> None:
    for _ in range(100):
        assert await call(runtime, 1, "m") == b'"function 1"'
    assert kept_by(runtime) == 1
    assert len(auditor.calls) < 20  # a tick that interrupts an inline attempt ends its instance


@scanner_needed
@pytest.mark.slow
async def test_kept_instances_equal_their_images_before_every_call(runtime: Runtime, auditor: Auditor) -> None:
    """Thousands of calls of several functions, one after another and at once."""
    chooser = random.Random(15)
    commands = "ecmwwpporr" * 20 + "ttg"
    for round_number in range(300):
        calls = []
        for _ in range(chooser.choice((1, 2, 24))):
            size = chooser.choice((0, 0, 10, 5000, 100_000))  # the large ones run in threads
            calls.append(call(runtime, chooser.randrange(FUNCTIONS), chooser.choice(commands), size))
        if round_number % 20 == 0:
            calls.append(call(runtime, chooser.randrange(FUNCTIONS), "l"))
        await asyncio.gather(*calls)
        for instance in runtime.kept_instances.idle:
            if memory_of(instance) not in EXPECTED:
                auditor.different.append(f"memory of an idle instance after round {round_number}")
    # Not a share of all calls: on a busy machine, ticks interrupt inline attempts, and each ends its instance. Calls with
    # large inputs have a whole time limit. Without kept instances there are no reuses at all.
    assert sum(auditor.calls.values()) - len(auditor.calls) >= MIN_REUSES


@scanner_needed
@pytest.mark.parametrize(
    ("command", "answer"),
    [("t", "trap: unreachable code was reached in function 3"), ("l", "time limit of 300ms exceeded"), ("g", b'"g1"')],
)
async def test_kept_instance_is_thrown_away_after(
    runtime: Runtime, auditor: Auditor, command: str, answer: str
) -> None:
    await call(runtime, 1, "w")
    (first,) = runtime.kept_instances.idle
    assert await call(runtime, 1, command) == answer
    assert kept_by(runtime) == 0
    assert await call(runtime, 1, "c") == b"1"
    (second,) = runtime.kept_instances.idle
    assert auditor.calls[first] == 2
    assert second is not first


@scanner_needed
async def test_kept_instance_with_too_many_private_pages_is_thrown_away(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restorable_instance, "MAX_PRIVATE_PAGES", 40)
    await call(runtime, 1, "c")
    assert kept_by(runtime) == 1
    assert await call(runtime, 1, "p") == b'"p1"'
    assert kept_by(runtime) == 0


@scanner_needed
async def test_kept_instance_whose_private_pages_are_scattered_is_restored(runtime: Runtime) -> None:
    """640 regions, more than the kernel reports in one batch."""
    for _ in range(3):
        assert await call(runtime, 4, "o") == b'"o4"'
    (instance,) = runtime.kept_instances.idle
    assert instance.private_pages >= 640
    assert memory_of(instance) == EXPECTED[4]


@scanner_needed
async def test_kept_instance_that_only_read_has_few_private_pages(runtime: Runtime) -> None:
    """The kernel's page of zeros, which untouched memory shows, is not copied."""
    await call(runtime, 4, "r")
    (instance,) = runtime.kept_instances.idle
    assert instance.private_pages < 20


@scanner_needed
async def test_kept_instances_are_limited_in_number(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_instances, "MAX_KEPT_INSTANCES", 3)
    first: dict[int, Instance] = {}
    for number in (0, 1, 2):
        await call(runtime, number, "c")
        first[number] = runtime.kept_instances.idle[-1]
    await call(runtime, 0, "c")
    assert runtime.kept_instances.idle == [first[1], first[2], first[0]]
    await call(runtime, 3, "c")
    assert runtime.kept_instances.idle[:2] == [first[2], first[0]]
    for number in range(FUNCTIONS):
        assert await call(runtime, number, "c") == b"1"
        assert kept_by(runtime) == 3


@scanner_needed
async def test_kept_instance_serves_one_call_at_a_time(runtime: Runtime, auditor: Auditor) -> None:
    await call(runtime, 1, "c")
    (kept,) = runtime.kept_instances.idle
    outcomes = await asyncio.gather(*(call(runtime, 1, "e", 100_000) for _ in range(8)), call(runtime, 1, "l"))
    assert outcomes[-1] == "time limit of 300ms exceeded"
    assert set(outcomes[:-1]) == {b'"e1%s"' % (b"x" * 100_000)}
    assert len(auditor.calls) > 1
    assert auditor.calls[kept] <= 10


@scanner_needed
async def test_kept_instances_in_use_count_among_those_that_are_kept(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of hundreds of calls at once, most would pay for an instance that is thrown away at once."""
    monkeypatch.setattr(kept_instances, "MAX_KEPT_INSTANCES", 3)
    monkeypatch.setattr(kept_instances, "WINDOW_CALLS", 1000)
    await call(runtime, 1, "c")
    image = runtime.kept_instances.idle[0].image
    for _ in range(2):  # what ends is not counted any more
        instances = [runtime.kept_instances.acquire(image, SMALL_LIMITS.memory) for _ in range(8)]
        assert [type(instance) for instance in instances] == [RestorableInstance] * 3 + [Instance] * 5
        for instance in instances:
            if not instance.started:
                image.start(instance)
            runtime.kept_instances.release(image, instance)
        assert kept_by(runtime) == 3


@scanner_needed
async def test_kept_instances_in_use_take_the_place_of_unused_ones_once(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_instances, "MAX_KEPT_INSTANCES", 2)
    monkeypatch.setattr(kept_instances, "WINDOW_CALLS", 1000)
    for number in (1, 2):
        await call(runtime, number, "c")
    kept, unused = runtime.kept_instances.idle
    image, unused.last_call = kept.image, -1000
    for instance in (taken := [runtime.kept_instances.acquire(image, SMALL_LIMITS.memory) for _ in range(8)]):
        if not instance.started:
            image.start(instance)
    assert [type(instance) for instance in taken] == [RestorableInstance] * 2 + [Instance] * 6
    for instance in taken:
        runtime.kept_instances.release(image, instance)
    assert kept_by(runtime) == 2


async def test_kept_instances_without_a_scanner_are_fresh_ones(auditor: Auditor) -> None:
    async with small_runtime(load_engine=load_engine) as runtime:
        runtime.kept_instances.close()  # of the scanner too
        for command in "cwpc":
            await call(runtime, 1, command)
        assert kept_by(runtime) == 0
        assert list(auditor.calls.values()) == [1, 1, 1, 1]


@scanner_needed
async def test_kept_instances_whose_scan_fails_are_thrown_away(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise pagemap.ScanFailed("no more")

    monkeypatch.setattr(pagemap.PageScanner, "scan", fail)
    assert await call(runtime, 1, "c") == b"1"
    assert await call(runtime, 1, "c") == b"1"
    assert kept_by(runtime) == 0


@scanner_needed
@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
async def test_kept_instance_whose_restore_fails_is_thrown_away(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """It is closed too: an instance that is dropped would hold its slot of the pool."""

    def fail(*_: object) -> None:
        raise error

    await call(runtime, 1, "c")
    (instance,) = runtime.kept_instances.idle
    image = instance.image
    assert runtime.kept_instances.acquire(image, SMALL_LIMITS.memory) is instance
    core.CONVENTION.invoke(instance, b'"w1"', 100)  # other regions than those that the copies are for
    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(FunctionImage, "copy_to", fail)
        runtime.kept_instances.release(image, instance)
    assert not instance.started
    assert kept_by(runtime) == 0
    assert await call(runtime, 1, "c") == b"1"


@scanner_needed
@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
async def test_kept_instance_with_a_part_of_its_image_is_thrown_away(
    runtime: Runtime, auditor: Auditor, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """An exception while the image is written leaves pages that are the engine's, and that no scan finds."""

    def fail(*_: object) -> None:
        raise error

    await call(runtime, 2, "c")
    image = runtime.kept_instances.idle[0].image
    instance = RestorableInstance(image, SMALL_LIMITS.memory)
    with monkeypatch.context() as patched:
        patched.setattr(ImageMemory, "write", fail)
        with pytest.raises(error):
            image.start(instance)
    runtime.kept_instances.release(image, instance)
    assert instance not in runtime.kept_instances.idle
    assert await call(runtime, 2, "c") == b"1"


@scanner_needed
async def test_kept_instance_is_thrown_away_when_a_region_is_outside_its_memory(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copying there would write into the host's memory."""
    monkeypatch.setattr(restorable_instance, "page_faults", count().__next__)  # so that each call is scanned
    await call(runtime, 1, "c")
    (instance,) = runtime.kept_instances.idle
    start = int(ffi.cast("uintptr_t", instance.memory_address))
    for first, end in ((start - 4096, start + 4096), (start, start + (5 << 16)), (0, start)):
        monkeypatch.setattr(pagemap.PageScanner, "scan", lambda *_, region=(first, end, 0): struct.pack("<3Q", *region))
        assert await call(runtime, 1, "c") == b"1"
        assert kept_by(runtime) == 0


def count_no_faults(monkeypatch: pytest.MonkeyPatch, *, calls_without_scan: int) -> None:
    """Act as a kernel that counts no page fault, and scan after so many calls in any case."""
    monkeypatch.setattr(restorable_instance, "MAX_CALLS_WITHOUT_SCAN", calls_without_scan)
    monkeypatch.setattr(restorable_instance, "page_faults", lambda: 0)


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[pagemap.Scan]:
    """Every scan that is made."""
    made: list[pagemap.Scan] = []
    scan = pagemap.PageScanner.scan

    def recorded(scanner: pagemap.PageScanner, of: pagemap.Scan) -> bytes:
        made.append(of)
        return scan(scanner, of)

    monkeypatch.setattr(pagemap.PageScanner, "scan", recorded)
    return made


@scanner_needed
async def test_kept_instance_is_scanned_when_pages_became_private(
    runtime: Runtime, auditor: Auditor, scans: list[pagemap.Scan]
) -> None:
    """The auditor reads all pages, so calls have no page faults but by what they write."""
    for _ in range(30):
        assert await call(runtime, 3, "c", LARGE) == b"1"
    (instance,) = runtime.kept_instances.idle
    assert auditor.calls[instance] == 30
    assert len(scans) < 15
    for command in "wpo":
        made, before = len(scans), instance.private_pages
        await call(runtime, 3, command, LARGE)
        if command != "o":  # which writes to pages that "p" has written to
            assert len(scans) > made
            assert instance.private_pages > before
    assert runtime.kept_instances.idle == [instance]
    assert memory_of(instance) == EXPECTED[3]


@scanner_needed
async def test_kept_instance_is_scanned_now_and_then_in_any_case(
    runtime: Runtime, scans: list[pagemap.Scan], monkeypatch: pytest.MonkeyPatch
) -> None:
    count_no_faults(monkeypatch, calls_without_scan=3)
    for _ in range(17):
        assert await call(runtime, 1, "c", LARGE) == b"1"
    assert len(scans) == 5  # the first call, and each fourth one after it


@scanner_needed
async def test_kept_instances_whose_pages_become_private_without_a_fault_are_scanned_always(
    runtime: Runtime, scans: list[pagemap.Scan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that does not count every fault is found out, and not relied on."""
    count_no_faults(monkeypatch, calls_without_scan=0)
    assert await call(runtime, 1, "c", LARGE) == b"1"
    assert kept_by(runtime) == 1
    await call(runtime, 1, "w", LARGE)
    assert kept_by(runtime) == 0
    monkeypatch.setattr(restorable_instance, "MAX_CALLS_WITHOUT_SCAN", 1000)
    made = len(scans)
    for command in "cwcwc":
        await call(runtime, 1, command, LARGE)
    assert len(scans) == made + 5
    assert kept_by(runtime) == 1


@scanner_needed
async def test_kept_instances_with_more_new_pages_than_faults_are_thrown_away(
    runtime: Runtime, auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of an earlier call that were not counted are found with the next fault, after one call has seen them."""
    faults = iter([0, 0, 0, 1])  # of two calls: one without a fault, and one with one
    await call(runtime, 1, "c", LARGE)
    monkeypatch.setattr(restorable_instance, "page_faults", lambda: next(faults))
    await call(runtime, 1, "w", LARGE)
    assert kept_by(runtime) == 1
    await call(runtime, 1, "c", LARGE)
    assert kept_by(runtime) == 0
    assert auditor.different == ["memory of 1 before call 3 of its instance"]
    auditor.different.clear()


@scanner_needed
async def test_kept_instances_that_were_not_scanned_are_not_used_once_every_call_is_scanned(
    runtime: Runtime, auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await call(runtime, 1, "c", LARGE)
    await call(runtime, 2, "c", LARGE)
    monkeypatch.setattr(restorable_instance, "page_faults", lambda: 0)
    await call(runtime, 1, "w", LARGE)  # what it wrote stays: this kernel counts nothing
    (other, dirty) = runtime.kept_instances.idle
    monkeypatch.setattr(restorable_instance, "MAX_CALLS_WITHOUT_SCAN", 0)
    await call(runtime, 2, "w", LARGE)
    assert runtime.kept_instances.idle == [dirty]
    assert await call(runtime, 1, "c", LARGE) == b"1"
    assert (auditor.calls[dirty], auditor.calls[other]) == (2, 2)
    assert not dirty.started


@scanner_needed
async def test_kept_instance_whose_call_cannot_begin_is_deleted(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise MemoryError

    await call(runtime, 1, "c")
    (instance,) = runtime.kept_instances.idle
    with monkeypatch.context() as patched:
        patched.setattr(restorable_instance, "page_faults", fail)
        with pytest.raises(MemoryError):
            runtime.kept_instances.acquire(instance.image, SMALL_LIMITS.memory)
    assert not instance.started
    assert runtime.kept_instances._in_use == set()
    assert await call(runtime, 1, "c") == b"1"


@scanner_needed
async def test_kept_instances_have_no_large_pages(runtime: Runtime) -> None:
    """The kernel makes those without a page fault."""
    await call(runtime, 4, "c", LARGE)
    (instance,) = runtime.kept_instances.idle
    start = int(ffi.cast("uintptr_t", instance.memory_address))
    flags: dict[range, list[str]] = {}
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            mapping = range(int(match[1], 16), int(match[2], 16))
        elif line.startswith("VmFlags:"):
            flags[mapping] = line.split()[1:]
    of_memory = [
        found
        for mapping, found in flags.items()
        if start < mapping.stop and mapping.start < start + instance.memory_size
    ]
    assert of_memory
    assert all("nh" in found for found in of_memory)


@scanner_needed
async def test_kept_instances_forget_calls_only_under_their_lock(runtime: Runtime) -> None:
    """Another thread that looks at the calls would find them gone between two looks."""

    class Calls(deque[int]):
        def clear(self) -> None:
            locked.append(runtime.kept_instances._lock.locked())
            super().clear()

    locked: list[bool] = []
    await call(runtime, 1, "c")
    runtime.kept_instances.idle[0].image.recent_calls = Calls(maxlen=4)
    await call(runtime, 1, "t")
    assert locked
    assert all(locked)


@scanner_needed
@pytest.mark.parametrize("kind", [Instance, RestorableInstance])
async def test_instances_of_two_engines_share_the_slots_of_the_pool(kind: type[Instance]) -> None:
    """A slot that had the memory of one engine, every page of it written, gets that of the other one."""
    other = wat(ENGINE_WAT.replace("more of it", "unlike the").replace("engine data", "other bytes"))
    image = parse(IMAGES[1])
    binaries = [IMAGES[1], build(msgspec.structs.replace(image, engine=hashlib.sha256(other).digest()))]
    expected = [EXPECTED[1], EXPECTED[1].replace(b"more of it", b"unlike the").replace(b"engine data", b"other bytes")]
    assert expected[0] != expected[1]

    async def load(digest: bytes) -> bytes | None:
        return await load_engine(digest) or other

    addresses: list[set[int]] = [set(), set()]
    async with small_runtime(load_engine=load) as runtime:
        images: list[FunctionImage] = []
        for binary in binaries:
            assert (await run_module(runtime, binary, b'"c1"')).output == b"1"
            module = runtime._modules.get_cached(hashlib.sha256(binary).digest())
            assert isinstance(module, FunctionImage)
            images.append(module)
        for _ in range(3):
            for number, module in enumerate(images):
                instances = []
                for _ in range(MAX_WARM_ENGINE_SLOTS + 4):
                    instance = (
                        RestorableInstance(module, SMALL_LIMITS.memory)
                        if kind is RestorableInstance
                        else Instance(module.pool.engine_address, SMALL_LIMITS.memory)
                    )
                    instances.append(instance)
                    instance.set_deadline(100)
                    module.start(instance)
                    assert memory_of(instance) == expected[number]
                    core.CONVENTION.invoke(instance, b'"p1"', 100)
                    assert memory_of(instance) != expected[number]
                    addresses[number].add(int(ffi.cast("uintptr_t", instance.memory_address)))
                for instance in instances:
                    instance.close()
    assert addresses[0] & addresses[1]


@scanner_needed
async def test_kept_instance_is_not_used_with_a_limit_below_its_memory(runtime: Runtime) -> None:
    await call(runtime, 4, "c")
    image = runtime.kept_instances.idle[0].image
    other = runtime.kept_instances.acquire(image, 64 << 10)
    assert not other.started
    other.close()
    assert kept_by(runtime) == 1


@scanner_needed
async def test_kept_instance_gets_the_memory_limit_of_each_call(runtime: Runtime) -> None:
    await call(runtime, 1, "c")
    (instance,) = runtime.kept_instances.idle
    instance.limit_memory(4 * 65536)
    await call(runtime, 1, "g")
    assert kept_by(runtime) == 0  # acquired with the limit of the runtime again, so that it could grow


@scanner_needed
async def test_kept_instances_are_for_functions_that_are_called_often(auditor: Auditor) -> None:
    async with small_runtime(load_engine=load_engine) as runtime:
        for expected in (0, 0, 0, 1, 1):
            await call(runtime, 1, "c")
            assert kept_by(runtime) == expected


@scanner_needed
async def test_kept_instances_are_not_for_functions_that_are_called_now_and_then(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_instances, "WINDOW_CALLS", 10)
    async with small_runtime(load_engine=load_engine) as runtime:
        for _ in range(8):
            for number in range(FUNCTIONS):
                await call(runtime, number, "c", LARGE)
        assert kept_by(runtime) == 0


@scanner_needed
async def test_kept_instance_in_use_is_not_thrown_away_for_another_function(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_instances, "MAX_KEPT_INSTANCES", 2)
    monkeypatch.setattr(kept_instances, "WINDOW_CALLS", 30)
    async with small_runtime(load_engine=load_engine) as runtime:
        for _ in range(10):
            for number in (0, 1, 2):
                await call(runtime, number, "c", LARGE)
        kept = runtime.kept_instances.idle
        assert len(kept) == 2
        for _ in range(40):
            await call(runtime, 2, "c", LARGE)
        assert set(kept) != set(runtime.kept_instances.idle)


@scanner_needed
async def test_kept_instances_are_not_made_for_each_call_that_traps(auditor: Auditor) -> None:
    async with small_runtime(load_engine=load_engine) as runtime:
        for _ in range(6):
            await call(runtime, 1, "e")
        (instance,) = runtime.kept_instances.idle
        for _ in range(8):
            await call(runtime, 1, "t")
        assert sum(isinstance(other, RestorableInstance) for other in auditor.calls) <= 3
        assert instance not in runtime.kept_instances.idle


@scanner_needed
async def test_kept_instances_need_an_engine_whose_memory_is_mapped(auditor: Auditor) -> None:
    """An engine whose start function writes to its memory would not have that after its pages are discarded."""
    writing = wat(
        ENGINE_WAT.replace(
            "(func (export", "(func $start (i32.store8 (i32.const 7) (i32.const 7))) (start $start) (func (export", 1
        )
    )
    image = parse(IMAGES[1])
    binary = build(msgspec.structs.replace(image, engine=hashlib.sha256(writing).digest()))

    async def load(_digest: bytes) -> bytes | None:
        return writing

    async with small_runtime(load_engine=load) as runtime:
        for _ in range(8):
            assert (await run_module(runtime, binary, b'"c1"')).output == b"1"
        assert kept_by(runtime) == 0
    assert {text.split(" before")[0] for text in auditor.different} == {"memory of 1"}  # it has a 7 at 7
    auditor.different.clear()
