"""Sealing: AES-GCM under the key of the installation, bound to the name of a secret and to what may use it."""

import hashlib
import os
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12  # random: of one key, 2^32 values may be sealed before two of them are likely to be equal
_FORMAT = b"\x01"  # the first byte of what is sealed
_KEY_ID_LABEL = b"faas key of secrets\0"


class Binding(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a sealed value belongs to: it opens with these alone, so that no row can take the value of another one.

    Nor can a row lose its hosts, or admit other functions, in the database.
    """

    name: str
    hosts: Sequence[str] | None
    functions: Sequence[str]


class SealingKey:
    """A key of KEY_BYTES bytes. `id` names it in the database and in messages, and does not reveal it."""

    def __init__(self, key: bytes) -> None:
        """Raises ValueError for a key of another length."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key has {len(key)} bytes, not {KEY_BYTES}")
        self.id = hashlib.sha256(_KEY_ID_LABEL + key).hexdigest()[:16]
        self._cipher = AESGCM(key)

    @classmethod
    def generate(cls) -> tuple["SealingKey", bytes]:
        """Return a new key, and its bytes, which its file keeps."""
        key = AESGCM.generate_key(KEY_BYTES * 8)
        return cls(key), key

    def seal(self, value: str, binding: Binding) -> bytes:
        """Return `value` sealed; a second time the result is another one."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, value.encode(), _associated_data(binding))

    def open(self, sealed: bytes, binding: Binding) -> str | None:
        """Return the value; None when it was sealed under another key or for another binding, or was changed."""
        if not sealed.startswith(_FORMAT):
            return None
        nonce, encrypted = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, encrypted, _associated_data(binding)).decode()
        except (InvalidTag, ValueError):  # ValueError: too short for a nonce
            return None


def _associated_data(binding: Binding) -> bytes:
    return _FORMAT + msgspec.json.encode(binding)
