"""The convention of the JavaScript engine (engines/javascript/shim.wat).

`alloc(len: i32) -> i32` allocates memory for the input; `handle(ptr: i32, len: i32) -> i64` returns
`ptr << 32 | len` of the answer: the output, or a message for the author after a `!`, with which no JSON begins.
Both are UTF-8. `serve` does the same with a request, and its answer is a response after a `=`; both are frames
(faas.runtime.frames).
"""

import os
import time
from typing import Any

import msgspec

from faas.runtime import host_context
from faas.runtime.abi.convention import CallingConvention, HostFunction
from faas.runtime.abi.javascript_hints import with_hint
from faas.runtime.instance import Instance
from faas.runtime.outcome import GuestFault
from faas.units import format_size

_U32 = 0xFFFF_FFFF
_NO_MEMORY, _MUST_NOT_WAIT = 0, 0xFFFF_FFFF_FFFF_FFFF  # instead of an answer
_FAILED, _RESPONSE = b"!", b"="
_RESPONSE_HEAD_BYTES = 128 << 10  # beside the body, which the limit is for
_OUT_OF_MEMORY = "InternalError: out of memory"  # of QuickJS
_LEVELS = ("log", "debug", "info", "warn", "error", "trace")
_MAX_RANDOM_BYTES = 64 << 10  # the prelude asks for no more at once


def _invoke(instance: Instance, input_json: bytes, output_limit: int) -> bytes:
    return _call(instance, "handle", input_json, output_limit)


def _serve(instance: Instance, request: bytes, output_limit: int) -> bytes:
    answer = _call(instance, "serve", request, output_limit + _RESPONSE_HEAD_BYTES)
    if not answer.startswith(_RESPONSE):
        raise GuestFault("the engine did not answer with a response")
    return answer[1:]


def _call(instance: Instance, name: str, given: bytes, answer_limit: int) -> bytes:
    start = instance.call("alloc", len(given)) & _U32
    if not start or not instance.write(start, given):
        raise GuestFault(_memory_limit())
    packed = instance.call(name, start, len(given))
    if packed == _MUST_NOT_WAIT:
        raise host_context.MustRunInThread
    if packed == _NO_MEMORY:
        raise GuestFault(_memory_limit())
    start, size = packed >> 32 & _U32, packed & _U32
    if size > answer_limit:
        limit = format_size(host_context.current().limits.output)
        raise GuestFault(f"output limit of {limit} exceeded: the result has {size} bytes")
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
    _write(caller, start, host_context.current().execution_id())


def _secrets() -> bytes:
    secrets = host_context.current().reach.secrets
    return msgspec.json.encode(secrets) if secrets else b""


def _secrets_size(_caller: Any) -> int:
    return len(_secrets())


def _secrets_read(caller: Any, start: int) -> None:
    _write(caller, start, _secrets())


def _request(caller: Any, start: int, size: int) -> int:
    session = host_context.current().session()
    if session is None:
        return -1
    start, size = start & _U32, size & _U32
    memory = caller["memory"]
    return session.start(bytes(memory.read(caller, start, min(start + size, memory.data_len(caller)))))


def _response_size(_caller: Any, number: int) -> int:
    response = host_context.current().response(number)
    return -1 if response is None else len(response)


def _response_read(caller: Any, number: int, start: int) -> None:
    _write(caller, start, host_context.current().take_response(number))


def _write(caller: Any, start: int, data: bytes) -> None:
    """Write to the caller's memory, or nothing where `data` does not fit there."""
    start &= _U32
    memory = caller["memory"]
    if data and start + len(data) <= memory.data_len(caller):
        memory.write(caller, data, start)


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
        "secrets_size": HostFunction((), ("i32",), _secrets_size),
        "secrets_read": HostFunction(("i32",), (), _secrets_read),
        "request": HostFunction(("i32", "i32"), ("i32",), _request),
        "response_size": HostFunction(("i32",), ("i32",), _response_size),
        "response_read": HostFunction(("i32", "i32"), (), _response_read),
    },
    invoke=_invoke,
    serve=_serve,
    optional_exports={"serve": "(i32, i32) -> i64"},
    functions_are_authors=False,
    lone_surrogates=True,
)
