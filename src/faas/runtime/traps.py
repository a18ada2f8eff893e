"""Messages for the function's author about traps and failed instantiations."""

import wasmtime

from faas.runtime.limits import Limits
from faas.units import format_duration, format_size

_CODES: dict[wasmtime.TrapCode | None, str] = {
    wasmtime.TrapCode.UNREACHABLE: "unreachable code was reached",
    wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS: "memory access out of bounds",
    wasmtime.TrapCode.TABLE_OUT_OF_BOUNDS: "table access out of bounds",
    wasmtime.TrapCode.INDIRECT_CALL_TO_NULL: "call of a null function",
    wasmtime.TrapCode.BAD_SIGNATURE: "indirect call of a function with another type",
    wasmtime.TrapCode.INTEGER_OVERFLOW: "integer overflow",
    wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO: "integer division by zero",
    wasmtime.TrapCode.BAD_CONVERSION_TO_INTEGER: "a number that does not fit was converted to an integer",
}
_MAX_FRAMES_SHOWN = 5
_MAX_NAME_SHOWN = 200  # characters; a hostile module may have names of megabytes


def describe_failure(
    error: wasmtime.Trap | wasmtime.WasmtimeError, limits: Limits, memory_size: int, *, with_functions: bool = True
) -> str:
    """Return the message for `error`. `memory_size` is the size of the guest's memory in bytes when it ended.

    `with_functions`: the message names the functions of the module in which the guest trapped.
    """
    if not isinstance(error, wasmtime.Trap):
        return _describe_instantiation(str(error), limits)
    code = error.trap_code
    path = _call_path(error) if with_functions else ""
    if code == wasmtime.TrapCode.INTERRUPT:
        return f"time limit of {format_duration(limits.time)} exceeded"
    if code == wasmtime.TrapCode.STACK_OVERFLOW:
        return f"stack limit of {format_size(limits.stack)} exceeded{path}"
    if code == wasmtime.TrapCode.UNREACHABLE and _ran_out_of_memory(error, limits, memory_size):
        return f"memory limit of {format_size(limits.memory)} exceeded{path}"
    if code == wasmtime.TrapCode.UNREACHABLE and _innermost(error).startswith("~lib/json-as/assembly/deserialize/"):
        return f"trap: JSON.parse: the document does not match the target type{path}"
    return f"trap: {_CODES.get(code) or error.message.splitlines()[0]}{path}"


def is_interrupt(error: wasmtime.Trap | wasmtime.WasmtimeError) -> bool:
    """Return True if the guest was ended by its deadline."""
    return isinstance(error, wasmtime.Trap) and error.trap_code == wasmtime.TrapCode.INTERRUPT


def _ran_out_of_memory(trap: wasmtime.Trap, limits: Limits, memory_size: int) -> bool:
    """Return True if the guest trapped because it could not allocate memory.

    A refused memory.grow does not trap by itself: the guest's own runtime then executes `unreachable`. It is recognized
    by the function that trapped, AssemblyScript's allocator, or by a memory that could not be doubled any more.
    """
    return _innermost(trap).startswith("~lib/rt/") or memory_size * 2 > limits.memory


def _innermost(trap: wasmtime.Trap) -> str:
    """Return the name of the function that trapped, empty where the module has no names."""
    frames = trap.frames
    return (frames[0].func_name or "") if frames else ""


def _describe_instantiation(message: str, limits: Limits) -> str:
    first = message.strip().splitlines()[-1].strip()
    if "memory" in message and ("minimum byte size" in message or "memory limits" in message):
        return f"memory limit of {format_size(limits.memory)} exceeded: the module asks for more to begin with"
    return f"the module cannot be started: {first}"


def _call_path(trap: wasmtime.Trap) -> str:
    """Return " in f, called by g" for the innermost functions of the trap, or an empty string."""
    names: list[str] = []
    for frame in trap.frames:
        name = (frame.func_name or f"function {frame.func_index}").removeprefix("export:")[:_MAX_NAME_SHOWN]
        if not names or names[-1] != name:  # a recursion is shown once
            names.append(name)
    return f" in {', called by '.join(names[:_MAX_FRAMES_SHOWN])}" if names else ""
