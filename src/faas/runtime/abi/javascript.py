"""The convention of the JavaScript engine (engines/javascript/shim.wat).

`alloc(len: i32) -> i32` allocates memory for the input; `handle(ptr: i32, len: i32) -> i64` returns
`ptr << 32 | len` of the answer: the output, or a message for the author after a `!`, with which no JSON begins.
Both are UTF-8.
"""

import os
import time
from typing import Any

from faas.runtime import host_context
from faas.runtime.abi.convention import CallingConvention, HostFunction
from faas.runtime.abi.javascript_hints import with_hint
from faas.runtime.instance import Instance
from faas.runtime.outcome import GuestFault
from faas.units import format_size

_U32 = 0xFFFF_FFFF
_NO_MEMORY, _MAY_NOT_SLEEP = 0, 0xFFFF_FFFF_FFFF_FFFF  # instead of an answer
_FAILED = b"!"
_OUT_OF_MEMORY = "InternalError: out of memory"  # of QuickJS
_LEVELS = ("log", "debug", "info", "warn", "error", "trace")
_MAX_RANDOM_BYTES = 64 << 10  # the prelude asks for no more at once


def _invoke(instance: Instance, input_json: bytes, output_limit: int) -> bytes:
    start = instance.call("alloc", len(input_json)) & _U32
    if not start or not instance.write(start, input_json):
        raise GuestFault(_memory_limit())
    packed = instance.call("handle", start, len(input_json))
    if packed == _MAY_NOT_SLEEP:
        raise host_context.MustRunInThread
    if packed == _NO_MEMORY:
        raise GuestFault(_memory_limit())
    start, size = packed >> 32 & _U32, packed & _U32
    if size > output_limit:
        raise GuestFault(f"output limit of {format_size(output_limit)} exceeded: the result has {size} bytes")
    answer = instance.read(start, size)
    if answer is None:
        raise GuestFault("the engine returned an address outside its memory")
    if answer.startswith(_FAILED):
        raise GuestFault(_describe(answer[1:].decode("utf-8", "replace")))
    return answer


def _describe(message: str) -> str:
    if message.startswith(_OUT_OF_MEMORY):
        return _memory_limit() + message.removeprefix(_OUT_OF_MEMORY)
    return with_hint(message)


def _memory_limit() -> str:
    return f"memory limit of {format_size(host_context.current().limits.memory)} exceeded"


# Host functions. The guest calls them on its thread.


def _log(caller: Any, level: int, start: int, size: int) -> None:
    context = host_context.current()
    start, size = start & _U32, size & _U32
    memory = caller["memory"]
    end = min(start + size, start + 4 * context.log_space + 4, memory.data_len(caller))
    text = bytes(memory.read(caller, start, end)).decode("utf-8", "replace") if end > start else ""
    context.log(_LEVELS[level] if 0 <= level < len(_LEVELS) else "log", text)


def _random(caller: Any, start: int, size: int) -> None:
    start, size = start & _U32, size & _U32
    memory = caller["memory"]
    if size <= _MAX_RANDOM_BYTES and start + size <= memory.data_len(caller):
        memory.write(caller, os.urandom(size), start)


def _execution_id(caller: Any, start: int) -> None:
    start &= _U32
    memory, written = caller["memory"], host_context.current().execution_id()
    if start + len(written) <= memory.data_len(caller):
        memory.write(caller, written, start)


def _now(_caller: Any) -> float:
    return time.time_ns() / 1_000_000


def _elapsed(_caller: Any) -> float:
    return host_context.current().elapsed_ms()


def _remaining(_caller: Any) -> float:
    return host_context.current().remaining_ms()


def _sleep(_caller: Any, milliseconds: float) -> int:
    return int(host_context.current().sleep(milliseconds / 1000))


CONVENTION = CallingConvention(
    name="JavaScript",
    marker="seal",
    # `seal` is never called here: it tells the engine from a module of the core convention.
    exports={"memory": "memory", "alloc": "(i32) -> i32", "handle": "(i32, i32) -> i64", "seal": "() -> ()"},
    imports={
        "log": HostFunction(("i32", "i32", "i32"), (), _log),
        "now": HostFunction((), ("f64",), _now),
        "elapsed": HostFunction((), ("f64",), _elapsed),
        "remaining": HostFunction((), ("f64",), _remaining),
        "random": HostFunction(("i32", "i32"), (), _random),
        "execution_id": HostFunction(("i32",), (), _execution_id),
        "sleep": HostFunction(("f64",), ("i32",), _sleep),
    },
    invoke=_invoke,
    functions_are_authors=False,
    lone_surrogates=True,
)
