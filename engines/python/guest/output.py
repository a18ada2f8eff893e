"""The result of a function as JSON."""

import json
from typing import Any

from .failures import OutputError

_HINTS = {
    "datetime": "use .isoformat()",
    "date": "use .isoformat()",
    "time": "use .isoformat()",
    "Decimal": "use str() or float()",
    "UUID": "use str()",
    "set": "use sorted() or list()",
    "frozenset": "use sorted() or list()",
    "dict_keys": "use list()",
    "dict_values": "use list()",
    "bytes": "use .decode() or base64.b64encode()",
    "generator": "use list()",
    "map": "use list()",
    "coroutine": "it was not awaited",
}

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_encode_ascii = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


def to_json(result: Any) -> str:
    """Return `result` as a JSON document. Raises OutputError."""
    try:
        document = _encode(result)
        if not document.isascii():
            document = _with_escaped_surrogates(document, result)
    except ValueError as error:
        raise OutputError(f"the function returned {_value_fault(error)}{_path(error)}") from None
    except TypeError as error:
        name = str(error).removeprefix("Object of type ").partition(" ")[0]
        hint = f"; {_HINTS[name]}" if name in _HINTS else ""
        raise OutputError(f"the function returned what JSON cannot express: {error}{hint}{_path(error)}") from None
    return document


def _with_escaped_surrogates(document: str, result: Any) -> str:
    try:
        document.encode()
    except UnicodeEncodeError:
        return _encode_ascii(result)
    return document


def _value_fault(error: ValueError) -> str:
    if "not JSON compliant" in str(error):
        number = str(error).rpartition(": ")[2]
        return f"{number}, a number that JSON does not have; return None instead (math.isfinite tells)"
    if "Circular reference" in str(error):
        return "an object that contains itself, which JSON cannot express"
    return f"what JSON cannot express: {error}"


def _path(error: BaseException) -> str:
    """Return where in the result the fault is, as the encoder notes it."""
    notes = [note.removeprefix("when serializing ") for note in getattr(error, "__notes__", ())]
    return f" (in {', in '.join(notes[:5])})" if notes else ""
