"""Certificates for tests: signed by themselves, by default for localhost and the loopback addresses."""

import ipaddress
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

KeyType = Literal["ec", "rsa"]


class CertificateFiles(msgspec.Struct, frozen=True):
    """The files of a certificate and of its key, and when it expires."""

    certificate: Path
    key: Path
    expires: datetime

    @classmethod
    def write(
        cls,
        folder: Path,
        *,
        key_type: KeyType = "ec",
        expires: datetime | None = None,
        issued: datetime | None = None,
        passphrase: bytes | None = None,
        names: Sequence[str] = ("localhost",),
    ) -> "CertificateFiles":
        """Write a new certificate and its key to `folder`; the files of an earlier call are replaced."""
        expires = expires or datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)
        key = ec.generate_private_key(ec.SECP256R1()) if key_type == "ec" else rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "faas test")])
        addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(issued or min(datetime.now(UTC), expires) - timedelta(days=1))
            .not_valid_after(expires)
            .add_extension(x509.SubjectAlternativeName([*map(x509.DNSName, names), *addresses]), critical=False)
            .sign(key, hashes.SHA256())
        )
        encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        files = cls(folder / "server.crt", folder / "server.key", expires)
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
        return files

    @property
    def der(self) -> bytes:
        """The certificate, as a client gets it."""
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text())

    def client_context(self) -> ssl.SSLContext:
        """Return a context that trusts this certificate only."""
        return ssl.create_default_context(cafile=str(self.certificate))
