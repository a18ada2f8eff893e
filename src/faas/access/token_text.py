"""The text of a token, `faas_<id>_<secret>`: making it, taking it apart, and the digest that is stored of it."""

import base64
import hashlib
import re
import secrets
from functools import lru_cache

import msgspec

_ID_CHARACTERS = 12
_SECRET_BYTES = 20  # 160 bits, 32 characters
_ID = re.compile(r"[a-z2-7]{12}")
_MAX_HEADER_BYTES = 256
_CACHED = 1024  # headers and digests: the same tokens come with each request
_TEXT = re.compile(rb"faas_([a-z2-7]{12})_([a-z2-7]{32})")
_BEARER = re.compile(rb"bearer +([\x21-\x7e]+)", re.IGNORECASE)
_ANYWHERE = re.compile(_TEXT.pattern, re.IGNORECASE)


class TokenText(msgspec.Struct, frozen=True):
    """The parts of a token's text."""

    id: str
    secret: bytes

    def __str__(self) -> str:
        return f"faas_{self.id}_{self.secret.decode()}"

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the secret. The secret is random, so that no slow hash is needed."""
        return _sha256(self.secret)


def generate() -> TokenText:
    """Return the text of a new token."""
    return TokenText(_base32(8)[:_ID_CHARACTERS].decode(), _base32(_SECRET_BYTES))


def is_id(text: str) -> bool:
    """Return whether `text` has the form of a token's id."""
    return _ID.fullmatch(text) is not None


def parse(text: str) -> TokenText | None:
    """Return the parts of a token's text, None when it has another form."""
    found = _TEXT.fullmatch(text.encode("utf-8", "replace"))
    return TokenText(found[1].decode(), found[2]) if found else None


def parse_authorization(value: bytes) -> TokenText | None:
    """Return the token of an `Authorization: Bearer` header, None when it has another form."""
    return _parse(value) if len(value) <= _MAX_HEADER_BYTES else None


def is_in(value: bytes) -> bool:
    """Return whether a token is a part of `value`, in whatever form: such a header is not passed on."""
    return _ANYWHERE.search(value) is not None


@lru_cache(maxsize=_CACHED)
def _parse(value: bytes) -> TokenText | None:
    bearer = _BEARER.fullmatch(value)
    found = _TEXT.fullmatch(bearer[1]) if bearer else None
    return TokenText(found[1].decode(), found[2]) if found else None


@lru_cache(maxsize=_CACHED)
def _sha256(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _base32(count: int) -> bytes:
    return base64.b32encode(secrets.token_bytes(count)).rstrip(b"=").lower()
