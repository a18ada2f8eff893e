"""Removal of secrets and e-mail addresses from every message that leaves the process."""

import hashlib
import re
from collections.abc import MutableMapping
from typing import Any

_REPLACEMENT = "[redacted]"
_MIN_SECRET_CHARACTERS = 4  # a shorter secret is not removed by value: it would occur in ordinary words
# Each pattern begins at a word boundary or with a fixed text, so that a hostile text takes linear time.
_AUTHORIZATION = re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;]+")
# `key=…`, `api_key: …`, `"x-goog-api-key": "…"`, `token=…`. The value may be quoted, truncated, escaped in another JSON
# text, or percent-encoded. What this module itself inserts is left as it is, so that redaction is idempotent.
_NAMED_SECRET = re.compile(
    r"""(?ix) (key|token|secret|password|bearer) (\\?["']?\s*(?:[=:]|%3[ad])\s*)
        (?!\[redacted\]|email\#[0-9a-f]{12}\b) (?: \\?"[^"]*"? | \\?'[^']*'? | [^\s"'&,;}\])]+ )"""
)
_GOOGLE_API_KEY = re.compile(r"AIza[\w-]{20,}")
_JSON_WEB_TOKEN = re.compile(r"(?<![\w-])eyJ[\w-]+\.[\w-]+(?:\.[\w-]+)?")
_FAAS_TOKEN = re.compile(r"(?<![\w-])faas_[a-z2-7]{12}_[a-z2-7]{32}")
_URL_USER_INFO = re.compile(r"(://)[^\s/@]+@")
_EMAIL = re.compile(r"(?<![^\s@<>\"'(),:;=/\\])[^\s@<>\"'(),:;=/\\]+@[^\s@<>\"'(),:;/\\]+")
_WHITE_SPACE_AND_CONTROLS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")


def redact(text: str, *secrets: str) -> str:
    """Return `text` in one line, without the values of `secrets` and without what has the form of a token or a key."""
    text = _URL_USER_INFO.sub(rf"\1{_REPLACEMENT}@", text)
    text = _AUTHORIZATION.sub(rf"\1 {_REPLACEMENT}", text)
    text = _JSON_WEB_TOKEN.sub(_REPLACEMENT, text)
    text = _GOOGLE_API_KEY.sub(_REPLACEMENT, text)
    text = _FAAS_TOKEN.sub(_REPLACEMENT, text)
    text = _NAMED_SECRET.sub(rf"\1\2{_REPLACEMENT}", text)
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _MIN_SECRET_CHARACTERS:
            text = text.replace(secret, _REPLACEMENT)
    return _WHITE_SPACE_AND_CONTROLS.sub(" ", text).strip()


def shorten(text: str, limit: int) -> str:
    """Return `text` in at most `limit` bytes of UTF-8. Redact first: a truncated secret is not recognized."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return text
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"


def hash_email(email: str) -> str:
    """Return a short identifier of an e-mail address that is the same in every run."""
    return "email#" + hashlib.sha256(email.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def redact_message(text: str, *secrets: str) -> str:
    """Return `redact(text)` with e-mail addresses replaced by their hashes, for logs and exit messages."""
    return _EMAIL.sub(lambda found: hash_email(found[0]), redact(text, *secrets))


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Apply `redact_message` to every text of a log event, as a structlog processor."""
    return {name: redact_message(value) if isinstance(value, str) else value for name, value in event.items()}
