"""The AssemblyScript convention: `handle(input: string): string` on managed UTF-16 strings (`asc --exportRuntime`).

A managed object is a pointer with a header before it: its class id at -8, its size in bytes at -4. Strings have class
id 2 (https://www.assemblyscript.org/runtime.html#memory-layout).
"""

import struct
import time
from random import SystemRandom
from typing import Any

from faas.runtime import host_context
from faas.runtime.abi.convention import ABI, Host
from faas.runtime.instance import Guest
from faas.runtime.outcome import GuestFault
from faas.units import format_size

_STRING_CLASS = 2
_U32 = 0xFFFF_FFFF
_random = SystemRandom()


def encode(text: str) -> bytes:
    """The bytes of an AssemblyScript string: UTF-16, little-endian, no mark."""
    return text.encode("utf-16-le")


def decode(data: bytes) -> str:
    """The text of an AssemblyScript string. Raises UnicodeDecodeError where surrogates do not pair."""
    return data.decode("utf-16-le")


def without_escaped_slashes(document: bytes) -> bytes:
    """The same JSON with `/` for `\\/`, which some clients write and json-as reads as NUL."""
    if b"\\/" not in document:
        return document
    # Between escaped backslashes, a backslash before a slash is the beginning of an escape.
    return b"\\\\".join(part.replace(b"\\/", b"/") for part in document.split(b"\\\\"))


def _invoke(guest: Guest, document: bytes, output_limit: int) -> bytes:
    text = encode(without_escaped_slashes(document).decode())
    pointer = guest.call("__new", len(text), _STRING_CLASS) & _U32
    if not guest.write(pointer, text):
        raise GuestFault(f"__new returned {pointer}, which leaves no room for the input of {len(text)} bytes")
    guest.call("__pin", pointer)
    pointer = guest.call("handle", pointer) & _U32
    data = _read_string(guest, pointer, 2 * output_limit, output_limit)
    try:
        output = decode(data).encode()
    except UnicodeDecodeError as error:
        raise GuestFault(
            f"handle returned a string that is not valid UTF-16 (character {error.start // 2}): "
            "a surrogate stands without its pair"
        ) from None
    if len(output) > output_limit:
        raise GuestFault(_too_large(output_limit))
    return output


def _read_string(guest: Guest, pointer: int, size_limit: int, output_limit: int) -> bytes:
    header = guest.read(pointer - 8, 8)
    if pointer == 0 or header is None:
        raise GuestFault(f"handle returned {pointer or 'null'}, which is no string: it must be (input: string): string")
    class_id, size = struct.unpack("<II", header)
    data = guest.read(pointer, size) if size <= size_limit else b""  # a lie is not worth a copy
    if class_id != _STRING_CLASS or size % 2 or data is None:
        raise GuestFault("handle returned something that is no string: it must be (input: string): string")
    if size > size_limit:
        raise GuestFault(_too_large(output_limit))
    return data


def _too_large(output_limit: int) -> str:
    return f"output limit of {format_size(output_limit)} exceeded"


# -- imports: called by the guest, on its thread. None may raise (see host_context.guarded)


def _text(caller: Any, pointer: int, limit: int = 8192) -> str:
    """The string at `pointer` in the caller's memory, cut after `limit` bytes; unpaired surrogates are replaced."""
    memory = caller["memory"]
    pointer &= _U32
    length = memory.data_len(caller)
    if not 8 <= pointer <= length:
        return ""
    (size,) = struct.unpack("<I", memory.read(caller, pointer - 4, pointer))
    end = min(pointer + min(size, limit) // 2 * 2, length)
    return bytes(memory.read(caller, pointer, end)).decode("utf-16-le", "replace") if end > pointer else ""


def _abort(caller: Any, message: int, file: int, line: int, column: int) -> None:
    where = f" in {_text(caller, file)}({line & _U32},{column & _U32})" if file else ""
    # The compiler puts `unreachable` behind every call of abort: the guest traps by itself when this returns.
    host_context.current().aborted = f"abort: {_text(caller, message) or 'no message'}{where}"


def _print(level: str) -> Any:
    def write(caller: Any, pointer: int) -> None:
        host_context.current().log(level, _text(caller, pointer, host_context.current().log_room * 2 + 2))

    return write


def _assert(caller: Any, condition: int, pointer: int) -> None:
    if not condition:
        host_context.current().log("error", f"Assertion failed: {_text(caller, pointer)}")


def _trace(caller: Any, pointer: int, count: int, *numbers: float) -> None:
    shown = "".join(f" {number:g}" for number in numbers[: max(count, 0)])
    host_context.current().log("trace", f"{_text(caller, pointer)}{shown}")


def _timer(caller: Any, pointer: int) -> None:
    host_context.current().time_label(_text(caller, pointer, 200))


_IMPORTS = {
    "abort": Host(("i32", "i32", "i32", "i32"), (), _abort),
    "trace": Host(("i32", "i32", "f64", "f64", "f64", "f64", "f64"), (), _trace),
    "seed": Host((), ("f64",), lambda _caller: _random.random() * 2**53),
    "Date.now": Host((), ("f64",), lambda _caller: float(time.time_ns() // 1_000_000)),
    "performance.now": Host((), ("f64",), lambda _caller: host_context.current().elapsed_ms()),
    "console.assert": Host(("i32", "i32"), (), _assert),
    "console.time": Host(("i32",), (), _timer),
    "console.timeLog": Host(("i32",), (), _timer),
    "console.timeEnd": Host(("i32",), (), _timer),
    **{f"console.{level}": Host(("i32",), (), _print(level)) for level in ("log", "debug", "info", "warn", "error")},
}

CONVENTION = ABI(
    name="AssemblyScript",
    marker="__new",
    exports={
        "memory": "memory",
        "handle": "(i32) -> i32",
        "__new": "(i32, i32) -> i32",
        "__pin": "(i32) -> i32",
        "__unpin": "(i32) -> ()",
    },
    imports=_IMPORTS,
    invoke=_invoke,
)
