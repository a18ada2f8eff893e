"""The settings of a run, and the only place of this room that reads the environment.

A flag beats the variable, the variable beats the default. Secrets are resolved here too, but kept out of `Settings`.
"""

import math
import os
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import urlsplit

import msgspec

from faas.compute_module.redaction import redact
from faas.errors import ConfigurationError
from faas.units import DURATION_FORMAT, parse_duration

_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a run works. `request_timeout` is seconds for one attempt; `rate_limit_rps` 0 is no limit."""

    workers: int = 10
    max_retries: int = 3
    request_timeout: float = 30.0
    rate_limit_rps: float = 0.0
    fail_fast: bool = False
    gemini_model: str | None = None
    gemini_base_url: str | None = None
    capture_audit: bool = False
    faas_url: str = "http://127.0.0.1:8080"


class Setting(msgspec.Struct, frozen=True):
    """One setting as the command line and the docs show it. `parse` raises ValueError with what is accepted."""

    name: str
    variable: str
    option: str
    description: str
    default: str
    parse: Callable[[str], Any]


def _whole_number(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text) if text.strip().isascii() and text.strip().removeprefix("+").isdigit() else -1
        if not least <= number <= 1_000_000:
            raise ValueError(f"a whole number from {least} to 1000000")
        return number

    return parse


def _duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise ValueError(DURATION_FORMAT)
    return seconds


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1
    if not math.isfinite(rate) or rate < 0:
        raise ValueError("a number of requests per second such as 0.5 or 10; 0 is no limit")
    return rate


def _boolean(text: str) -> bool:
    if text.strip().lower() not in _BOOLEANS:
        raise ValueError("true or false")
    return _BOOLEANS[text.strip().lower()]


def parse_url(text: str) -> str:
    """`text` without a trailing slash. Raises ValueError when it is not an http or https URL with a host."""
    url = text.strip()
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        if "[" in parts.netloc:
            IPv6Address(parts.hostname or "")
    except ValueError:
        whole = False
    if not whole or not url.isascii() or any(character <= " " for character in url):
        raise ValueError("a URL such as https://host:443")
    return url.rstrip("/")


SETTINGS = (
    Setting("workers", "WORKERS", "--workers", "addresses enriched at once", "10", _whole_number(1)),
    Setting(
        "max_retries",
        "MAX_RETRIES",
        "--max-retries",
        "attempts for an address after the first",
        "3",
        _whole_number(0),
    ),
    Setting("request_timeout", "REQUEST_TIMEOUT", "--request-timeout", "time for one attempt", "30s", _duration),
    Setting(
        "rate_limit_rps",
        "RATE_LIMIT_RPS",
        "--rate-limit-rps",
        "attempts per second of the whole run; 0 = off",
        "0",
        _rate,
    ),
    Setting("fail_fast", "FAIL_FAST", "--fail-fast", "end the run at the first error", "false", _boolean),
    Setting(
        "gemini_model",
        "GEMINI_MODEL",
        "--gemini-model",
        "the model to ask; the enricher gemini needs it",
        "",
        str.strip,
    ),
    Setting(
        "gemini_base_url", "GEMINI_BASE_URL", "--gemini-base-url", "another address for the Gemini API", "", parse_url
    ),
    Setting(
        "capture_audit",
        "GEMINI_CAPTURE_AUDIT",
        "--capture-audit",
        "fill the columns sources and web_search_queries",
        "false",
        _boolean,
    ),
    Setting(
        "faas_url",
        "FAAS_URL",
        "--faas-url",
        "the platform that the enricher function calls",
        "http://127.0.0.1:8080",
        parse_url,
    ),
)


def load(options: Mapping[str, str | None], environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from `options` (by name; None is left out), then the environment, then the defaults.

    Raises ConfigurationError with the option or variable, its value and what is accepted.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        origin, text = setting.option, options.get(setting.name)
        if text is None:
            origin, text = setting.variable, environ.get(setting.variable, "")
            if not text.strip():
                continue
        try:
            values[setting.name] = setting.parse(text)
        except ValueError as error:
            raise ConfigurationError(f"{origin}={redact(text)!r}: {error}") from None
    return Settings(**values)


def environment() -> Mapping[str, str]:
    """The environment itself, for what is read on demand: the Gemini key."""
    return os.environ
