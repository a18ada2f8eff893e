"""The certificate of `--tls-cert` and its private key: checked at start, and reloaded without a restart.

OpenSSL's errors name neither the file nor what to do, so the files are read and checked before it loads them.
"""

import re
import ssl
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from faas.errors import ConfigurationError

log = structlog.get_logger()

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_ENCRYPTED_KEY = re.compile(r"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)
# OpenSSL's reasons for a key that does not fit; the last is for one of another type.
_KEY_OF_ANOTHER_CERTIFICATE = {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}
# Tags of DER (X.690).
_EXPLICIT_VERSION, _UTC_TIME = 0xA0, 0x17


class LoadedCertificate(msgspec.Struct, frozen=True):
    """What the files held when they were read: a context that serves with them, and when the certificate expires."""

    context: ssl.SSLContext
    expires: datetime

    @property
    def is_expired(self) -> bool:
        """Whether clients that check the certificate refuse it now because of its date."""
        return self.expires <= datetime.now(UTC)


def load_certificate(certificate: Path, key: Path) -> LoadedCertificate:
    """Read both files, which are in PEM; the issuers of the certificate may follow it. Raises ConfigurationError.

    An expired certificate is loaded: a server that must be renewed should not stop answering those who accept it.
    """
    chain, private = _read("--tls-cert", certificate), _read("--tls-key", key)
    if not (first := _CERTIFICATE.search(chain)):
        raise ConfigurationError(f"--tls-cert {certificate}: no certificate in it; accepted is a chain in PEM")
    if not _PRIVATE_KEY.search(private):
        raise ConfigurationError(f"--tls-key {key}: no private key in it; accepted is a key in PEM")
    if _ENCRYPTED_KEY.search(private):
        raise ConfigurationError(
            f"--tls-key {key}: the key is encrypted; accepted is a key without a passphrase, "
            "which `openssl pkey -in KEY -out PLAIN` writes"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password="")  # without one, OpenSSL asks on the terminal
    except ssl.SSLError as error:
        if error.reason in _KEY_OF_ANOTHER_CERTIFICATE:
            raise ConfigurationError(
                f"--tls-key {key}: not the key of the first certificate in --tls-cert {certificate}"
            ) from None
        reason = (error.reason or "it cannot be read").replace("_", " ").lower()
        raise ConfigurationError(
            f"--tls-cert {certificate} with --tls-key {key}: OpenSSL does not accept them: {reason}"
        ) from None
    return LoadedCertificate(context, _expiry(ssl.PEM_cert_to_DER_cert(first[0])))


class ServerCertificate:
    """The certificate that new connections get. Not thread-safe: everything runs on the event loop.

    `context` stays the same, so that a server can listen with it; at each handshake it hands over to the context that
    was loaded last. A reload into one context would leave the old certificate in it when the new one has a key of
    another type, and break it when the files do not fit each other.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load both files. Raises ConfigurationError."""
        self._certificate, self._key = certificate, key
        self._loaded = load_certificate(certificate, key)
        self.context = self._loaded.context
        self.context.sni_callback = self._choose_context  # also called for clients that send no name
        self._warn_if_expired()

    def reload(self) -> None:
        """Load both files again, for new connections. Files that are not accepted are logged and change nothing.

        Blocks the event loop for the milliseconds that it takes to read and check two small files.
        """
        try:
            self._loaded = load_certificate(self._certificate, self._key)
        except ConfigurationError as error:
            log.error("certificate.reload_failed", error=str(error), expires=self._loaded.expires.isoformat())
        else:
            log.info("certificate.reloaded", file=str(self._certificate), expires=self._loaded.expires.isoformat())
            self._warn_if_expired()

    def _choose_context(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._loaded.context

    def _warn_if_expired(self) -> None:
        if self._loaded.is_expired:
            log.warning("certificate.expired", file=str(self._certificate), expired=self._loaded.expires.isoformat())


def _read(option: str, file: Path) -> str:
    try:
        return file.read_text(encoding="latin-1")  # text around the blocks may be in any encoding
    except OSError as error:
        raise ConfigurationError(f"{option} {file}: {error.strerror}") from None


def _expiry(certificate: bytes) -> datetime:
    """Return notAfter of a certificate in DER (RFC 5280, section 4.1), which OpenSSL has accepted.

    The module ssl gives the fields of certificates of peers only.
    """
    _, position, _ = _element(certificate, 0)
    _, position, _ = _element(certificate, position)  # tbsCertificate
    tag, _, end = _element(certificate, position)
    if tag == _EXPLICIT_VERSION:
        position = end
    for _field in ("serialNumber", "signature", "issuer"):
        _, _, position = _element(certificate, position)
    _, position, _ = _element(certificate, position)  # validity
    _, _, position = _element(certificate, position)  # notBefore
    tag, start, end = _element(certificate, position)
    text = certificate[start:end].decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year; 50 to 99 are of the 20th century
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _element(der: bytes, position: int) -> tuple[int, int, int]:
    """Return the tag of the element at `position`, and where its content begins and ends."""
    start, length = position + 2, der[position + 1]
    if length & 0x80:  # the length itself has this number of bytes
        start += length & 0x7F
        length = int.from_bytes(der[position + 2 : start], "big")
    return der[position], start, start + length
