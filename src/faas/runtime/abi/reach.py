"""The imports of the module `faas`: what modules that authors compile reach, as JSON in their memory both ways.

`env(ptr: i32, len: i32) -> i64` takes the name of a variable or secret and returns its value, a JSON string, or null.
`http(ptr: i32, len: i32) -> i64` takes a request and returns its response. Both are UTF-8, and both return
`ptr << 32 | len` of memory that the host has allocated with the functions of the guest.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec
import wasmtime

from faas.outbound import Headers
from faas.runtime import frames, host_context
from faas.runtime.abi.convention import REACH, HostFunction
from faas.runtime.frames import Redirect
from faas.units import format_size

ALLOC_EXPORT: Mapping[str, str] = {"alloc": "(i32) -> i32"}

_ARRAY_BUFFER_CLASS_ID = 1  # https://www.assemblyscript.org/runtime.html#memory-layout
_MAX_NAME_BYTES = 1024
_MAX_REQUEST_BYTES = 12 << 20  # as JSON; what the body itself may have is checked when it is sent
_U32 = 0xFFFF_FFFF
_ENDED = 0  # returned to a guest that must not go on; its execution fails, whatever it returns

Allocate: TypeAlias = Callable[[Any, int], int]
"""Allocates memory in the caller with its own functions: the caller and the size, in bytes, to the address."""
Spell: TypeAlias = Callable[[object], bytes]
"""Writes an answer as JSON."""


class _Request(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    url: str
    method: str = "GET"
    headers: Mapping[str, str] | list[tuple[str, str]] = {}
    body: str | None = None
    body_base64: str | None = None
    redirect: Redirect = "follow"


class _Response(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    status: int | None = None
    url: str | None = None
    headers: Headers | None = None
    body: str | None = None
    body_base64: str | None = None
    error: str | None = None


_decoder = msgspec.json.Decoder(_Request)
_encode = msgspec.json.Encoder().encode


def allocate_managed(caller: Any, size: int) -> int:
    """Allocate an ArrayBuffer of AssemblyScript that stays."""
    pointer: int = caller["__new"](caller, size, _ARRAY_BUFFER_CLASS_ID)
    caller["__pin"](caller, pointer)
    return pointer & _U32


def allocate(caller: Any, size: int) -> int:
    """Allocate with the export `alloc`."""
    pointer: int = caller["alloc"](caller, size)
    return pointer & _U32


def imports(allocate: Allocate, spell: Spell = _encode) -> Mapping[str, HostFunction]:
    """Return the host functions of the module REACH for modules that `allocate` works with."""

    def env(caller: Any, start: int, size: int) -> int:
        reach = host_context.current().reach
        name = (_read(caller, start, size, _MAX_NAME_BYTES) or b"").decode("utf-8", "replace")
        return _give(caller, allocate, spell(reach.variables.get(name, reach.secrets.get(name))))

    def http(caller: Any, start: int, size: int) -> int:
        context = host_context.current()
        session = context.session()
        document = _read(caller, start, size, _MAX_REQUEST_BYTES)
        if session is None or document is None:
            return _ENDED
        frame = _frame_of(document)
        if isinstance(frame, _Response):
            return _give(caller, allocate, spell(frame))
        response = context.wait_for_response(session.start(frame))
        return _ENDED if response is None else _give(caller, allocate, spell(_response_of(response)))

    signature = ("i32", "i32"), ("i64",)
    return {"env": HostFunction(*signature, env), "http": HostFunction(*signature, http)}


def _read(caller: Any, start: int, size: int, limit: int) -> bytes | None:
    """Return what the caller passes. None where it cannot be read: the execution fails then."""
    start, size = start & _U32, size & _U32
    memory = caller["memory"]
    if start + size > memory.data_len(caller):
        host_context.current().abort(f"the address {start} and the length {size} lie outside the memory of the module")
        return None
    if size > limit:
        host_context.current().abort(
            f"{size} bytes were passed to the module {REACH}; the limit is {format_size(limit)}"
        )
        return None
    return bytes(memory.read(caller, start, start + size))


def _give(caller: Any, allocate: Allocate, document: bytes) -> int:
    """Write `document` to memory that the caller allocates, and return where it is."""
    context = host_context.current()
    if context.in_guest_call:
        context.abort(f"an import of the module {REACH} was called while memory was allocated for another one")
        return _ENDED
    context.in_guest_call = True
    try:
        start = allocate(caller, len(document))
    except (wasmtime.Trap, wasmtime.WasmtimeError) as failure:  # it must not pass through wasmtime-py as an exception
        context.guest_failure = failure
        return _ENDED
    finally:
        context.in_guest_call = False
    memory = caller["memory"]
    if not start or start + len(document) > memory.data_len(caller):
        context.abort(f"the memory allocated for an answer, at {start}, has no room for its {len(document)} bytes")
        return _ENDED
    memory.write(caller, document, start)
    packed = start << 32 | len(document)
    return packed - (1 << 64) if packed >> 63 else packed  # an i64 is signed


def _frame_of(document: bytes) -> bytes | _Response:
    """Return the frame of a request, or the response where it is none."""
    try:
        request = _decoder.decode(document)
        if request.body is not None and request.body_base64 is not None:
            return _Response(error="a request has `body` or `bodyBase64`, not both")
        body = (request.body or "").encode() or base64.b64decode(request.body_base64 or "", validate=True)
    except (msgspec.MsgspecError, UnicodeDecodeError, binascii.Error, RecursionError) as error:
        return _Response(error=f"the request is not one: {error}")
    headers = request.headers.items() if isinstance(request.headers, Mapping) else request.headers
    head = frames.RequestHead(method=request.method, url=request.url, headers=tuple(headers), redirect=request.redirect)
    return frames.encode(head, body)


def _response_of(frame: bytes) -> _Response:
    head, body = frames.decode_response(frame)
    if head.error:
        return _Response(error=head.error)
    try:
        text, encoded = body.decode(), None
    except UnicodeDecodeError:
        text, encoded = None, base64.b64encode(body).decode()
    return _Response(status=head.status, url=head.url, headers=head.headers, body=text, body_base64=encoded)
