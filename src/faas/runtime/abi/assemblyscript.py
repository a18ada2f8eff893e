"""The AssemblyScript convention: `handle(input: string): string` on managed UTF-16 strings (`asc --exportRuntime`).

A managed object is a pointer with a header before it: its class id at -8, its size in bytes at -4. Strings have class
id 2 (https://www.assemblyscript.org/runtime.html#memory-layout).
"""

import struct
import time
from random import SystemRandom
from typing import Any

import msgspec

from faas.runtime import host_context
from faas.runtime.abi import reach
from faas.runtime.abi.convention import CallingConvention, HostFunction
from faas.runtime.abi.json_as import normalize, with_null_for_not_finite
from faas.runtime.instance import Instance
from faas.runtime.outcome import GuestFault
from faas.units import format_size

_STRING_CLASS_ID = 2
_MAX_TEXT_BYTES = 8192  # of a message that a guest passes to a host function
_MAX_LABEL_BYTES = 200
_U32 = 0xFFFF_FFFF
_random = SystemRandom()


def encode_string(text: str) -> bytes:
    """Return the bytes of an AssemblyScript string: UTF-16, little-endian, without a byte order mark."""
    return text.encode("utf-16-le")


def decode_string(data: bytes) -> str:
    """Return the text of an AssemblyScript string. Raises UnicodeDecodeError for an unpaired surrogate."""
    return data.decode("utf-16-le")


def without_escaped_slashes(json: bytes) -> bytes:
    """Replace `\\/` by `/` in a JSON document: some clients escape slashes, and json-as reads them as NUL."""
    if b"\\/" not in json:
        return json
    # Split at escaped backslashes, so that every backslash before a slash begins an escape sequence.
    return b"\\\\".join(part.replace(b"\\/", b"/") for part in json.split(b"\\\\"))


def _invoke(instance: Instance, input_json: bytes, output_limit: int) -> bytes:
    return _call_handle(instance, without_escaped_slashes(input_json).decode(), output_limit)


def _invoke_with_json_as(instance: Instance, input_json: bytes, output_limit: int) -> bytes:
    output = _call_handle(instance, normalize(input_json), output_limit)
    if b"NaN" in output or b"Infinity" in output:
        return with_null_for_not_finite(output.decode()).encode()
    return output


def _call_handle(instance: Instance, input_json: str, output_limit: int) -> bytes:
    text = encode_string(input_json)
    pointer = instance.call("__new", len(text), _STRING_CLASS_ID) & _U32
    if not instance.write(pointer, text):
        raise GuestFault(f"__new returned {pointer}, which leaves no room for the input of {len(text)} bytes")
    instance.call("__pin", pointer)
    pointer = instance.call("handle", pointer) & _U32
    data = _read_string(instance, pointer, 2 * output_limit, output_limit)
    try:
        output = decode_string(data).encode()
    except UnicodeDecodeError as error:
        raise GuestFault(
            f"handle returned a string that is not valid UTF-16 (character {error.start // 2}): "
            "it has an unpaired surrogate"
        ) from None
    if len(output) > output_limit:
        raise GuestFault(_too_large(output_limit))
    return output


def _read_string(instance: Instance, pointer: int, size_limit: int, output_limit: int) -> bytes:
    header = instance.read(pointer - 8, 8)
    if pointer == 0 or header is None:
        raise GuestFault(
            f"handle returned {pointer or 'null'}, which is not a string: its type must be (input: string): string"
        )
    class_id, size = struct.unpack("<II", header)
    data = instance.read(pointer, size) if size <= size_limit else b""  # the claimed size is too large: do not copy it
    if class_id != _STRING_CLASS_ID or size % 2 or data is None:
        raise GuestFault("handle returned a value that is not a string: its type must be (input: string): string")
    if size > size_limit:
        raise GuestFault(_too_large(output_limit))
    return data


def _too_large(output_limit: int) -> str:
    return f"output limit of {format_size(output_limit)} exceeded"


# Host functions. The guest calls them on its thread.


def _text(caller: Any, pointer: int, max_bytes: int = _MAX_TEXT_BYTES) -> str:
    """Return the string at `pointer` in the caller's memory, at most `max_bytes` of it.

    Unpaired surrogates are replaced; a pointer outside the memory gives an empty string.
    """
    memory = caller["memory"]
    pointer &= _U32
    length = memory.data_len(caller)
    if not 8 <= pointer <= length:
        return ""
    (size,) = struct.unpack("<I", memory.read(caller, pointer - 4, pointer))
    end = min(pointer + min(size, max_bytes) // 2 * 2, length)
    return bytes(memory.read(caller, pointer, end)).decode("utf-16-le", "replace") if end > pointer else ""


def _abort(caller: Any, message: int, file: int, line: int, column: int) -> None:
    where = f" in {_text(caller, file)}({line & _U32},{column & _U32})" if file else ""
    # The compiler puts `unreachable` after every call of abort, so the guest traps by itself when this returns.
    host_context.current().aborted = f"abort: {_text(caller, message) or 'no message'}{where}"


def _print(level: str) -> Any:
    def write(caller: Any, pointer: int) -> None:
        host_context.current().log(level, _text(caller, pointer, host_context.current().log_space * 2 + 2))

    return write


def _assert(caller: Any, condition: int, pointer: int) -> None:
    if not condition:
        host_context.current().log("error", f"Assertion failed: {_text(caller, pointer)}")


def _trace(caller: Any, pointer: int, count: int, *numbers: float) -> None:
    shown = "".join(f" {number:g}" for number in numbers[: max(count, 0)])
    host_context.current().log("trace", f"{_text(caller, pointer)}{shown}")


def _log_elapsed(caller: Any, pointer: int) -> None:
    host_context.current().log_elapsed(_text(caller, pointer, _MAX_LABEL_BYTES))


_HOST_FUNCTIONS = {
    "abort": HostFunction(("i32", "i32", "i32", "i32"), (), _abort),
    "trace": HostFunction(("i32", "i32", "f64", "f64", "f64", "f64", "f64"), (), _trace),
    "seed": HostFunction((), ("f64",), lambda _caller: _random.random() * 2**53),
    "Date.now": HostFunction((), ("f64",), lambda _caller: float(time.time_ns() // 1_000_000)),
    "performance.now": HostFunction((), ("f64",), lambda _caller: host_context.current().elapsed_ms()),
    "console.assert": HostFunction(("i32", "i32"), (), _assert),
    "console.time": HostFunction(("i32",), (), _log_elapsed),
    "console.timeLog": HostFunction(("i32",), (), _log_elapsed),
    "console.timeEnd": HostFunction(("i32",), (), _log_elapsed),
    **{
        f"console.{level}": HostFunction(("i32",), (), _print(level))
        for level in ("log", "debug", "info", "warn", "error")
    },
}

CONVENTION = CallingConvention(
    name="AssemblyScript",
    marker="__new",
    exports={
        "memory": "memory",
        "handle": "(i32) -> i32",
        "__new": "(i32, i32) -> i32",
        "__pin": "(i32) -> i32",
        "__unpin": "(i32) -> ()",
    },
    uncalled=("__unpin",),
    imports=_HOST_FUNCTIONS,
    reach=reach.imports(reach.allocate_managed),
    invoke=_invoke,
)


def _spelled_for_json_as(answer: object) -> bytes:
    return normalize(msgspec.json.encode(answer)).encode()


# Modules whose source imports json-as. The compiler's worker adds the export (toolchain/check.mjs).
JSON_AS_MARKER = "__json_as_1_6"
CONVENTION_WITH_JSON_AS = msgspec.structs.replace(
    CONVENTION,
    name="AssemblyScript with json-as",
    marker=JSON_AS_MARKER,
    exports={**CONVENTION.exports, JSON_AS_MARKER: "global"},
    uncalled=(*CONVENTION.uncalled, JSON_AS_MARKER),
    reach=reach.imports(reach.allocate_managed, _spelled_for_json_as),
    invoke=_invoke_with_json_as,
)
