"""Error responses of Foundry as one line without secrets."""

import re

import httpx
import msgspec

from faas.compute_module.errors import FoundryRequestFailed
from faas.compute_module.pipeline.retry_after import (
    MAX_RETRY_AFTER_SECONDS,
    describe_too_long,
    is_transient,
    read_retry_after,
)
from faas.compute_module.redaction import redact_message, shorten

_MAX_BODY_BYTES = 256  # of a body that is not an error in Foundry's form
_MAX_FIELD_BYTES = 128
_SHOWN_FIELDS = ("errorName", "errorCode", "errorInstanceId")
# The start of an error's parameters. They cannot be removed from a truncated or nested error, so the text ends there.
_PARAMETERS = re.compile(rb"""\\?["']?parameters\\?["']?\s*[:=]""")


def failure_of_response(operation: str, response: httpx.Response, *secrets: str) -> FoundryRequestFailed:
    """Return the error of `operation` with the name, code and instance of the response, never its parameters."""
    status = response.status_code
    fields = _conjure_fields(response.content)
    if fields:
        shown = [
            f"{name}={shorten(redact_message(value, *secrets), _MAX_FIELD_BYTES)}" for name, value in fields.items()
        ]
        detail = f"{status} {' '.join(shown)}"
    elif response.is_redirect:
        location = redact_message(response.headers.get("Location", ""), *secrets)
        detail = f"{status}, a redirect to {shorten(location, _MAX_BODY_BYTES)}, which is not followed"
    else:
        detail = f"{status} {body_excerpt(response.content, *secrets)}".rstrip()
    wait = read_retry_after(response.headers) or 0.0
    if is_transient(status) and wait > MAX_RETRY_AFTER_SECONDS:
        detail += f"; {describe_too_long(wait)}"
    return FoundryRequestFailed(operation, detail, status, fields.get("errorName"))


def body_excerpt(body: bytes, *secrets: str) -> str:
    """Return the beginning of a body in one line, up to the parameters of an error."""
    # More is redacted than is shown: a secret that crosses the end of the excerpt would not be recognized.
    body = _PARAMETERS.split(body[: _MAX_BODY_BYTES * 64], maxsplit=1)[0]
    return shorten(redact_message(body.decode("utf-8", "replace"), *secrets), _MAX_BODY_BYTES)


def error_code(response: httpx.Response) -> str:
    """Return the `errorCode` of a response, "" without one."""
    return _conjure_fields(response.content).get("errorCode", "")


def _conjure_fields(body: bytes) -> dict[str, str]:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(decoded, dict):
        return {}
    return {name: decoded[name] for name in _SHOWN_FIELDS if isinstance(decoded.get(name), str)}
