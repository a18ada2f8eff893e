"""Error responses of the Gemini API: the reason, whether a retry may help, and the wait that the API asks for."""

import math
import re
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.retry_after import is_transient, read_retry_after
from faas.compute_module.redaction import redact, shorten

_MAX_REASON_BYTES = 400
_STATUS_CANCELLED = 499
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)s")  # google.protobuf.Duration in JSON


class _Quota(msgspec.Struct, frozen=True):
    """A quota that a request exceeded: the identifier and the limit, as the API writes them."""

    name: str
    limit: str

    @property
    def lasts(self) -> bool:
        """Whether a wait within a run does not help: a quota per day, or one of 0."""
        return "perday" in re.sub(r"[^a-z]", "", self.name.lower()) or self.limit == "0"


def failure_of_response(response: httpx.Response, key: str) -> EnrichmentFailed:
    """Return the error of a response whose status is not 200 and whose body has been read.

    The wait is the longer of the header Retry-After and of RetryInfo in the body. A quota that lasts is not retried,
    whatever the wait: the API names waits of seconds for a quota per day too.
    """
    status = response.status_code
    error = _error_object(response.content)
    name = _text(error.get("status")) or response.reason_phrase
    message = _text(error.get("message")) or ("" if error else response.text)
    quotas = list(_exceeded_quotas(error))
    shown_quotas = ", ".join(f"{quota.name} of {quota.limit}" if quota.limit else quota.name for quota in quotas)
    labels = f"{name} (quota {shown_quotas})" if shown_quotas else name
    detail = redact(f"{labels}: {message}".strip(": "), key)
    reason = shorten(f"Gemini answered {status} {detail}".rstrip(), _MAX_REASON_BYTES)
    if status == _STATUS_CANCELLED or name == "CANCELLED":
        return EnrichmentFailed(reason, retry="once")
    if not is_transient(status):
        return EnrichmentFailed(reason)
    if any(quota.lasts for quota in quotas):
        return EnrichmentFailed(reason, retry_after=math.inf)
    waits = [read_retry_after(response.headers), *_retry_delays(error)]
    return EnrichmentFailed(reason, "always", retry_after=max((wait for wait in waits if wait), default=None))


def _error_object(body: bytes) -> dict[str, Any]:
    """Return the error in a body, which some endpoints wrap in an array; empty for a body in another form."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    if isinstance(decoded, list) and decoded:
        decoded = decoded[0]
    error = decoded.get("error") if isinstance(decoded, dict) else None
    return error if isinstance(error, dict) else {}


def _details(error: dict[str, Any]) -> Iterator[dict[str, Any]]:
    details = error.get("details")
    return (detail for detail in details if isinstance(detail, dict)) if isinstance(details, list) else iter(())


def _retry_delays(error: dict[str, Any]) -> Iterator[float]:
    """Return the seconds of google.rpc.RetryInfo."""
    for detail in _details(error):
        if found := _DURATION.fullmatch(_text(detail.get("retryDelay"))):
            yield float(found[1])


def _exceeded_quotas(error: dict[str, Any]) -> Iterator[_Quota]:
    """Return the quotas of google.rpc.QuotaFailure."""
    for detail in _details(error):
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict) and (name := _text(violation.get("quotaId"))):
                yield _Quota(name, _text(violation.get("quotaValue")))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
