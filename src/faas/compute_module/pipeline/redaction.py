"""What must not leave the process in a message: tokens, keys and, in logs, e-mail addresses."""

import hashlib
import re
from collections.abc import MutableMapping
from typing import Any

_HIDDEN = "[redacted]"
_SHORTEST_SECRET = 4  # by value; cutting every `k` out of a message would protect nobody
# Each pattern can only begin where a word begins, or at a fixed text: hostile bodies take linear time.
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;]+")
# `key=…`, `api_key: …`, `"x-goog-api-key": "…"`, `token=…`; the value may be quoted, with the end cut off, or all of it
# be inside another JSON text or percent-encoded
_NAMED = re.compile(
    r"""(?ix) (key|token|secret|password|bearer) (\\?["']?\s*(?:[=:]|%3[ad])\s*)
        (?!\[redacted\]) (?: \\?"[^"]*"? | \\?'[^']*'? | [^\s"'&,;}\])]+ )"""
)
_GOOGLE_KEY = re.compile(r"AIza[\w-]{20,}")
_JSON_WEB_TOKEN = re.compile(r"(?<![\w-])eyJ[\w-]+\.[\w-]+(?:\.[\w-]+)?")
_USER_INFO = re.compile(r"(://)[^\s/@]+@")
_EMAIL = re.compile(r"(?<![^\s@<>\"'(),:;=/\\])[^\s@<>\"'(),:;=/\\]+@[^\s@<>\"'(),:;/\\]+")
_CONTROLS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")


def redact(text: str, *secrets: str) -> str:
    """`text` in one line, without tokens and keys: the `secrets` by value, others by how they look."""
    text = _USER_INFO.sub(rf"\1{_HIDDEN}@", text)
    text = _BEARER.sub(rf"\1 {_HIDDEN}", text)
    text = _JSON_WEB_TOKEN.sub(_HIDDEN, text)
    text = _GOOGLE_KEY.sub(_HIDDEN, text)
    text = _NAMED.sub(rf"\1\2{_HIDDEN}", text)
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, _HIDDEN)
    return _CONTROLS.sub(" ", text).strip()


def shorten(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8. Redact first: a secret cut in half is no longer recognised."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return text
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"


def hash_email(email: str) -> str:
    """A short stable name for an address, the same in every run."""
    return "email#" + hashlib.sha256(email.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def redact_message(text: str, *secrets: str) -> str:
    """`redact`, with e-mail addresses replaced by their hashes: for logs and exit messages."""
    return _EMAIL.sub(lambda found: hash_email(found[0]), redact(text, *secrets))


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: every text of an event goes through `redact_message`."""
    return {name: redact_message(value) if isinstance(value, str) else value for name, value in event.items()}
