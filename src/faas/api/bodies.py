"""Request bodies: checked as bytes, decoded once, errors named by field.

litestar's own `data:` answers 500 to invalid UTF-8 and to very deep JSON, and cannot hold a field as raw bytes.
"""

import asyncio
import re
from typing import TypeVar, get_args

import msgspec

from faas import json_documents
from faas.api.schemas import ExecutionRequest, FunctionRequest
from faas.errors import InvalidRequest
from faas.languages import Language

T = TypeVar("T")

function_request_decoder = msgspec.json.Decoder(FunctionRequest)
_execution_request = msgspec.json.Decoder(ExecutionRequest)

_NO_INPUT = b"{}"
SMALL = 1 << 16  # bytes that are looked at in less time than a thread takes to begin
_FIELD = re.compile(r" - at `\$\.?([^`]*)`|(?:field) `([^`]+)`")


async def decode(body: bytes, content_type: str, decoder: msgspec.json.Decoder[T]) -> T:
    """The request's body as the decoder's type. Raises InvalidRequest that names the field and what is accepted."""
    if len(body) <= SMALL:
        return decode_small(body, content_type, decoder)
    _check_content_type(content_type)
    await asyncio.to_thread(_check_depth, body)
    return _decode(body, decoder)


def decode_small(body: bytes, content_type: str, decoder: msgspec.json.Decoder[T]) -> T:
    """What `decode` does, for a body of at most SMALL bytes."""
    _check_content_type(content_type)
    _check_depth(body)
    return _decode(body, decoder)


async def execution_input(body: bytes, content_type: str) -> bytes:
    """The `input` of an execution request, exactly as sent. Nothing at all, no input and null mean `{}`."""
    return _input_of(await decode(body, content_type, _execution_request)) if body else _NO_INPUT


def small_execution_input(body: bytes, content_type: str) -> bytes:
    """What `execution_input` does, for a body of at most SMALL bytes."""
    return _input_of(decode_small(body, content_type, _execution_request)) if body else _NO_INPUT


def _input_of(request: ExecutionRequest) -> bytes:
    raw = bytes(request.input)
    if raw.startswith(b"{"):
        return raw
    if raw == b"null":
        return _NO_INPUT
    kind = {"[": "an array", '"': "a string", "t": "a boolean", "f": "a boolean"}.get(chr(raw[0]), "a number")
    raise InvalidRequest("input", f"is {kind}; accepted is a JSON object, or null for {{}}")


def _check_depth(body: bytes) -> None:
    try:
        json_documents.check_depth(body)
    except json_documents.NotJSON as error:
        raise InvalidRequest("body", str(error)) from None


def _decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(body.decode())
    except UnicodeDecodeError as error:
        raise InvalidRequest("body", f"invalid UTF-8 at byte {error.start}") from None
    except msgspec.ValidationError as error:
        raise _named(str(error)) from None
    except msgspec.DecodeError as error:
        raise InvalidRequest("body", json_documents.describe_error(body, error)) from None


def _check_content_type(given: str) -> None:
    if given == "application/json":
        return
    media_type, _, parameters = given.partition(";")
    charset = re.search(r"charset\s*=\s*\"?([\w-]+)", parameters, re.IGNORECASE)
    if media_type.strip().lower() != "application/json" or (charset and charset[1].lower() not in {"utf-8", "utf8"}):
        shown = repr(given[:100]) if given else "missing"
        raise InvalidRequest("Content-Type", f"{shown}; accepted is application/json (in UTF-8)")


def _named(message: str) -> InvalidRequest:
    """msgspec's message as ours: the field first."""
    match = _FIELD.search(message)
    field = next((group for group in match.groups() if group), "body") if match else "body"
    reason = message.split(" - at ", maxsplit=1)[0]
    if "missing required field" in reason:
        reason = "is required"
    elif "unknown field" in reason:
        reason = "is not a field of this request"
    elif field == "language" and reason.startswith("Invalid enum value "):
        reason = f"{reason.removeprefix('Invalid enum value ')}; accepted is one of {', '.join(get_args(Language))}"
    return InvalidRequest(field, reason)
