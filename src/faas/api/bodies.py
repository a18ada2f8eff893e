"""Request bodies: checked as bytes, decoded once, with errors that name the field.

litestar's own `data:` answers 500 to invalid UTF-8 and to very deep JSON, and cannot keep a field as raw bytes.
"""

import asyncio
import re
from typing import TypeVar

import msgspec

from faas import json_documents
from faas.api.field_errors import holds_secret, invalid_field
from faas.api.schemas import (
    EmptyRequest,
    ExecutionRequest,
    FunctionCreateRequest,
    FunctionUpdateRequest,
    PromoteRequest,
    SecretPutRequest,
    TokenCreateRequest,
)
from faas.errors import InvalidRequest

T = TypeVar("T")

create_request_decoder = msgspec.json.Decoder(FunctionCreateRequest)
update_request_decoder = msgspec.json.Decoder(FunctionUpdateRequest)
empty_request_decoder = msgspec.json.Decoder(EmptyRequest)
promote_request_decoder = msgspec.json.Decoder(PromoteRequest)
token_request_decoder = msgspec.json.Decoder(TokenCreateRequest)
secret_request_decoder = msgspec.json.Decoder(SecretPutRequest)
_execution_request_decoder = msgspec.json.Decoder(ExecutionRequest)

SMALL_BODY_BYTES = 64 << 10  # checked in less time than a thread takes to start
_EMPTY_INPUT = b"{}"


async def decode(body: bytes, content_type: str, decoder: msgspec.json.Decoder[T]) -> T:
    """Return the request's body as the decoder's type. Raises InvalidRequest with the field and what is accepted."""
    if len(body) <= SMALL_BODY_BYTES:
        return _decode_small(body, content_type, decoder)
    _check_content_type(content_type)
    await asyncio.to_thread(_check_depth, body)
    return _decode(body, decoder)


async def decode_execution_input(body: bytes, content_type: str) -> bytes:
    """Return the `input` of an execution request, exactly as sent; `{}` for an empty body, no input and null."""
    return _input_of(await decode(body, content_type, _execution_request_decoder)) if body else _EMPTY_INPUT


def decode_small_execution_input(body: bytes, content_type: str) -> bytes:
    """Return what `decode_execution_input` returns, for a body of at most SMALL_BODY_BYTES."""
    return _input_of(_decode_small(body, content_type, _execution_request_decoder)) if body else _EMPTY_INPUT


def _input_of(request: ExecutionRequest) -> bytes:
    raw = bytes(request.input)
    if raw.startswith(b"{"):
        return raw
    if raw == b"null":
        return _EMPTY_INPUT
    kind = {"[": "an array", '"': "a string", "t": "a boolean", "f": "a boolean"}.get(chr(raw[0]), "a number")
    raise InvalidRequest("input", f"is {kind}; accepted is a JSON object, or null for {{}}")


def _decode_small(body: bytes, content_type: str, decoder: msgspec.json.Decoder[T]) -> T:
    _check_content_type(content_type)
    _check_depth(body)
    return _decode(body, decoder)


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
        raise invalid_field(error, body.decode(), decoder.type) from None
    except msgspec.DecodeError as error:
        explained = json_documents.explain(body, error)
        reason = f"JSON is malformed (byte {explained.offset})" if holds_secret(decoder.type) else str(explained)
        raise InvalidRequest("body", reason) from None


def _check_content_type(content_type: str) -> None:
    if content_type == "application/json":
        return
    media_type, _, parameters = content_type.partition(";")
    charset = re.search(r"charset\s*=\s*\"?([\w-]+)", parameters, re.IGNORECASE)
    if media_type.strip().lower() != "application/json" or (charset and charset[1].lower() not in {"utf-8", "utf8"}):
        shown = repr(content_type[:100]) if content_type else "missing"
        raise InvalidRequest("Content-Type", f"{shown}; accepted is application/json (in UTF-8)")
