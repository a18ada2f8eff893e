"""What an answer of Foundry's that is not a success says, in one line without secrets."""

import re

import httpx
import msgspec

from faas.compute_module.errors import FoundryRequestFailed
from faas.compute_module.redaction import redact_message, shorten

_SHOWN = 256  # bytes of a body that has no error in Foundry's form
_NAME_SHOWN = 128
_FIELDS = ("errorName", "errorCode", "errorInstanceId")
# where the parameters of an error begin: in one that is cut off, or inside something else, they cannot be taken out
_PARAMETERS = re.compile(rb"""\\?["']?parameters\\?["']?\s*[:=]""")


def describe(operation: str, response: httpx.Response, *secrets: str) -> FoundryRequestFailed:
    """The failure of `operation` by its answer: the error's name, code and instance, never its parameters."""
    status = response.status_code
    fields = _conjure_fields(response.content)
    if fields:
        shown = [f"{name}={shorten(redact_message(value, *secrets), _NAME_SHOWN)}" for name, value in fields.items()]
        detail = f"{status} {' '.join(shown)}"
    elif response.is_redirect:
        place = redact_message(response.headers.get("Location", ""), *secrets)
        detail = f"{status}, a redirect to {shorten(place, _SHOWN)}, which is not followed"
    else:
        detail = f"{status} {excerpt(response.content, *secrets)}".rstrip()
    return FoundryRequestFailed(operation, detail, status, fields.get("errorName"))


def excerpt(body: bytes, *secrets: str) -> str:
    """The beginning of a body, in one line, up to the parameters of an error."""
    body = _PARAMETERS.split(body[: _SHOWN * 64], maxsplit=1)[0]
    # a secret could begin before the cut and end after it: look at more than is shown
    return shorten(redact_message(body.decode("utf-8", "replace"), *secrets), _SHOWN)


def error_code(response: httpx.Response) -> str:
    """The `errorCode` of an answer, "" when it has none."""
    return _conjure_fields(response.content).get("errorCode", "")


def _conjure_fields(body: bytes) -> dict[str, str]:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(decoded, dict):
        return {}
    return {name: decoded[name] for name in _FIELDS if isinstance(decoded.get(name), str)}
