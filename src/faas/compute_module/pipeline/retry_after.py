"""When an HTTP request may be sent again: the statuses, the header Retry-After and its longest accepted value."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

MAX_RETRY_AFTER_SECONDS = 300.0  # quotas per minute fit; a daily quota does not
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def is_transient(status: int) -> bool:
    """Return whether a retry may help: 429 and 5xx."""
    return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds in the header Retry-After, a number or a date; None without it and for any other text.

    A date is compared with the header Date, by the server's own clock, and without that one with the local clock.
    """
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    moment = parse_http_date(text)
    if moment is None:
        return None
    now = parse_http_date(headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (moment - now).total_seconds())


def parse_http_date(text: str) -> datetime | None:
    """Return the time of an HTTP date in any of its three formats; None for any other text."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # The oldest format names no zone; all HTTP dates are in UTC.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def describe_too_long(seconds: float) -> str:
    """Return why a wait of `seconds` is not accepted."""
    return f"the server asks to wait {seconds:.0f} s, longer than the accepted {MAX_RETRY_AFTER_SECONDS:g} s"
