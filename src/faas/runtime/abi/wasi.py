"""The WASI convention: a command of WASI preview 1, as Go, Rust, C, Zig and others compile programs.

The input is its standard input, JSON, UTF-8. The output is what it writes to standard output, a JSON document. What it
writes to standard error is the log. It fails with an exit code other than 0. Its environment has the variables and the
secrets of its function.
"""

import struct
import time
from typing import Any

import wasmtime

from faas.runtime import c_api, host_context
from faas.runtime.abi import reach
from faas.runtime.abi.convention import CallingConvention, HostFunction
from faas.runtime.instance import Instance
from faas.runtime.outcome import GuestFault
from faas.runtime.wasi_instance import WasiInstance
from faas.units import format_size

MODULE = "wasi_snapshot_preview1"
_BYTES_PER_CHARACTER = 4  # of the log limit, which counts characters, in UTF-8
_STDERR_SHOWN = 1000  # characters at the end, in the message of a failure

_SUBSCRIPTION, _EVENT = struct.Struct("<QB7xI4xQQH6x"), struct.Struct("<QHB5xQH6x")
_CLOCK, _MONOTONIC, _ABSOLUTE = 0, 1, 1  # kind of a subscription, id of a clock, flag of a timeout
_MAX_SUBSCRIPTIONS = 4096
_SUCCESS, _BAD_FILE, _FAULT, _INVALID = 0, 8, 21, 28  # errno of WASI
_STANDARD_STREAMS = (0, 1, 2)
_U32 = 0xFFFF_FFFF


def _invoke(instance: Instance, input_json: bytes, output_limit: int) -> bytes:
    assert isinstance(instance, WasiInstance)
    context = host_context.current()
    log_limit = context.log_space * _BYTES_PER_CHARACTER + _BYTES_PER_CHARACTER
    instance.set_input(
        input_json,
        output_limit=output_limit,
        log_limit=log_limit,
        throttle=context.throttle,
        environment={**context.reach.secrets, **context.reach.variables},
    )
    code = 0
    try:
        instance.call("_start")
    except c_api.CallFailed as failure:
        if not isinstance(failure.cause, wasmtime.ExitTrap):
            raise
        code = failure.cause.code
    finally:
        errors = bytes(instance.stderr.content).decode("utf-8", "replace")
        for line in errors.splitlines():
            context.log("log", line)
    if instance.stdout.full:
        raise GuestFault(f"output limit of {format_size(output_limit)} exceeded")
    if code:
        shown = errors.strip()[-_STDERR_SHOWN:]
        raise GuestFault(f"exit code {code}: {shown}" if shown else f"exit code {code}")
    if not instance.stdout.content.strip():
        raise GuestFault("the program wrote nothing to standard output, where its result is expected as JSON")
    return bytes(instance.stdout.content).strip(b" \t\r\n")


def _poll(caller: Any, subscriptions: int, events: int, count: int, stored: int) -> int:
    """Wait for the first timeout. wasmtime's own function would wait as long as a guest wants, whatever its limit."""
    memory = caller["memory"]
    subscriptions, events, count, stored = (value & _U32 for value in (subscriptions, events, count, stored))
    if not 0 < count <= _MAX_SUBSCRIPTIONS:
        return _INVALID
    size = memory.data_len(caller)
    if max(subscriptions + count * _SUBSCRIPTION.size, events + count * _EVENT.size, stored + 4) > size:
        return _FAULT
    asked = list(
        _SUBSCRIPTION.iter_unpack(bytes(memory.read(caller, subscriptions, subscriptions + count * _SUBSCRIPTION.size)))
    )
    ready = [
        (user_data, _SUCCESS if descriptor in _STANDARD_STREAMS else _BAD_FILE, kind, 0, 0)
        for user_data, kind, descriptor, *_ in asked
        if kind != _CLOCK
    ]
    if not ready:
        waits = [_seconds(clock, timeout, flags) for _, _, clock, timeout, _, flags in asked]
        first = min(waits)
        host_context.current().sleep(max(0, first))
        ready = [
            (user_data, _SUCCESS, _CLOCK, 0, 0)
            for (user_data, *_), seconds in zip(asked, waits, strict=True)
            if seconds <= first
        ]
    memory.write(caller, b"".join(_EVENT.pack(*event) for event in ready), events)
    memory.write(caller, struct.pack("<I", len(ready)), stored)
    return _SUCCESS


def _seconds(clock: int, timeout: int, flags: int) -> float:
    """Return how long a timeout is from now. wasmtime's monotonic clock begins with the input of a guest."""
    if flags & _ABSOLUTE:
        elapsed = int(host_context.current().elapsed_ms() * 1e6)
        return (timeout - (elapsed if clock == _MONOTONIC else time.time_ns())) / 1e9
    return timeout / 1e9


CONVENTION = CallingConvention(
    name="WASI",
    marker="_start",
    exports={"memory": "memory", "_start": "() -> ()"},
    module=MODULE,
    reach=reach.imports(reach.allocate),
    reach_exports=reach.ALLOC_EXPORT,
    imports={"poll_oneoff": HostFunction(("i32", "i32", "i32", "i32"), ("i32",), _poll)},
    invoke=_invoke,
    wasi=True,
)
