"""Modules written by hand, and runtimes to execute them in."""

import hashlib
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

from faas.runtime import Limits, Outcome, Precompiler, Runtime
from faas.runtime.abi.assemblyscript import encode_string
from faas.runtime.engine_modules import LoadEngine, no_engines
from faas.runtime.reach import NOTHING, Reach
from tests.helpers.support import wat

# Limits of time that calls do not reach even on a busy machine, and that endless ones do: the outcome is the same on any.
SMALL_LIMITS = Limits(time=60, memory=16 << 20, stack=256 << 10, input=1 << 20, output=1 << 20, logs=2000)
SHORT_LIMITS = SMALL_LIMITS.narrowed(0.3, None)


def small_runtime(
    *,
    precompile_timeout: float = 60,
    threads: int = 4,
    cached_modules: int = 8,
    load_engine: LoadEngine = no_engines,
) -> Runtime:
    """Make a runtime with SMALL_LIMITS and no cache on disk."""
    precompiler = Precompiler(stack=SMALL_LIMITS.stack, timeout=precompile_timeout, memory=2 << 30, workers=1)
    return Runtime(SMALL_LIMITS, precompiler, threads=threads, cached_modules=cached_modules, load_engine=load_engine)


def limits_for(message: str) -> Limits:
    """Return short limits for a call whose outcome is to be that its time is over, and patient ones for another."""
    return SHORT_LIMITS if "time limit" in message else SMALL_LIMITS


@contextmanager
def little_work(limits: Limits, seconds: float = SHORT_LIMITS.time) -> Iterator[None]:
    """Fail where a call with patient `limits` makes this process use a processor for `seconds`.

    It bounds what is not endless as a short time limit would, whatever the load of the machine.
    """
    began = time.process_time()
    yield
    assert limits.time < SMALL_LIMITS.time or time.process_time() - began < seconds


async def run_module(
    runtime: Runtime,
    module: bytes | str,
    input_json: bytes = b"{}",
    reach: Reach = NOTHING,
    limits: Limits | None = None,
) -> Outcome:
    """Execute a module, given as a binary or in the text format, with limits of its own where there are some."""
    binary = wat(module) if isinstance(module, str) else module

    async def load() -> bytes:
        return binary

    return await runtime.run(hashlib.sha256(binary).digest(), load, input_json, limits, reach=reach)


def assemblyscript_module(handle: str, *, imports: str = "", strings: dict[int, str | bytes] | None = None) -> bytes:
    """Make a module with AssemblyScript's exports. `strings` are objects of class 2 at these addresses."""
    data = ""
    for address, text in (strings or {}).items():
        body = encode_string(text) if isinstance(text, str) else text
        whole = struct.pack("<II", 2, len(body)) + body
        data += f'(data (i32.const {address - 8}) "{"".join(f"{chr(92)}{byte:02x}" for byte in whole)}")'
    return wat(f"""(module {imports} {data}
        (memory (export "memory") 2)
        (func (export "__new") (param i32 i32) (result i32)
            (i32.store (i32.const 65528) (local.get 1)) (i32.store (i32.const 65532) (local.get 0)) (i32.const 65536))
        (func (export "__pin") (param i32) (result i32) (local.get 0))
        (func (export "__unpin") (param i32))
        (func (export "handle") (param i32) (result i32) {handle}))""")
