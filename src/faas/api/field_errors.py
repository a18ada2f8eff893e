"""Errors of msgspec about a request's body, as errors that name the field, its value and what is accepted."""

import re
from collections.abc import Sequence
from typing import get_args

import msgspec

from faas.api.schemas import SecretPutRequest
from faas.errors import InvalidRequest
from faas.languages import Language

_PATH = re.compile(r" - at `\$\.?([^`]*)`")  # of the value, or of the object around a field, in msgspec's messages
_FIELD = re.compile(r"field `([^`]+)`")  # of that object
_SHOWN_CHARACTERS = 100  # of a value


def holds_secret(kind: type) -> bool:
    """Return whether a body of this struct holds a secret, so that no error may repeat anything of it."""
    return kind is SecretPutRequest


def invalid_field(error: msgspec.ValidationError, body: str, kind: type) -> InvalidRequest:
    """Return the error that msgspec raised when it decoded `body` as the struct `kind`."""
    message = str(error)
    path = match[1] if (match := _PATH.search(message)) else ""
    name = match[1] if (match := _FIELD.search(message)) else ""
    field = ".".join(part for part in (path, name) if part) or "body"
    reason = message.split(" - at ", maxsplit=1)[0]
    if "missing required field" in reason:
        return InvalidRequest(field, "is required")
    if "unknown field" in reason:
        accepted = ", ".join(_fields_at(path, kind))
        if holds_secret(kind):
            return InvalidRequest("body", f"it has a field that is not of this request; accepted: {accepted}")
        return InvalidRequest(field, f"is not a field of this request; accepted: {accepted or 'none'}")
    if field == "language" and reason.startswith("Invalid enum value "):
        value = reason.removeprefix("Invalid enum value ")
        return InvalidRequest(field, f"{value}; accepted is one of {', '.join(get_args(Language))}")
    return InvalidRequest(field, reason if holds_secret(kind) else reason + _shown_value(path, body))


def _fields_at(path: str, kind: type) -> Sequence[str]:
    """Return the names that the struct at `path` below the struct `kind` has in JSON; none where it has no struct."""
    fields = msgspec.structs.fields(kind)
    for part in filter(None, path.split(".")):
        types = [hint for field in fields if field.encode_name == part for hint in (field.type, *get_args(field.type))]
        structs = [hint for hint in types if isinstance(hint, type) and issubclass(hint, msgspec.Struct)]
        fields = msgspec.structs.fields(structs[0]) if structs else ()
    return [field.encode_name for field in fields]


def _shown_value(path: str, body: str) -> str:
    """Return the value at `path` for the error's message; nothing for an object, an array, or one that is not found."""
    try:
        value: object = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return ""
    for part in filter(None, path.split(".")):
        if not isinstance(value, dict) or part not in value:
            return ""
        value = value[part]
    if isinstance(value, dict | list):
        return ""
    return f"; the value is {msgspec.json.encode(value).decode()[:_SHOWN_CHARACTERS]}"
