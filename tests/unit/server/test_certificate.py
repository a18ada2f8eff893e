"""The certificate and the key of a server: what is accepted, what errors say, and reloads."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from faas.errors import ConfigurationError
from faas.server.certificate import ServerCertificate, load_certificate
from tests.helpers.certificates import CertificateFiles


def served_certificate(certificate: ServerCertificate, *, name: str | None = "localhost") -> bytes:
    """Shake hands in memory with a client that accepts every certificate, and return the one that it gets."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    pending = [client, server]
    while pending:
        try:
            pending[0].do_handshake()
        except ssl.SSLWantReadError:
            pending.reverse()
        else:
            pending.pop(0)
    return client.getpeercert(binary_form=True) or b""


@pytest.mark.parametrize("key_type", ["ec", "rsa"])
@pytest.mark.parametrize(
    "expires", [datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)], ids=str
)
def test_load_certificate_finds_when_it_expires(tmp_path: Path, key_type: str, expires: datetime) -> None:
    files = CertificateFiles.write(tmp_path, key_type=key_type, expires=expires)  # type: ignore[arg-type]
    loaded = load_certificate(files.certificate, files.key)
    assert (loaded.expires, loaded.is_expired) == (expires, False)
    assert loaded.context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_load_certificate_of_the_last_century_is_expired(tmp_path: Path) -> None:
    expires = datetime(1999, 1, 2, 3, 4, 5, tzinfo=UTC)
    files = CertificateFiles.write(tmp_path, expires=expires, issued=expires - timedelta(days=1))
    loaded = load_certificate(files.certificate, files.key)
    assert (loaded.expires, loaded.is_expired) == (expires, True)


def test_load_certificate_accepts_text_and_issuers_around_it(tmp_path: Path) -> None:
    files = CertificateFiles.write(tmp_path)
    issuer = CertificateFiles.write(_folder(tmp_path), expires=datetime(2031, 1, 1, tzinfo=UTC))
    chain = b"subject: \xe9\n" + files.certificate.read_bytes() + issuer.certificate.read_bytes()
    files.certificate.write_bytes(chain)
    assert load_certificate(files.certificate, files.key).expires == files.expires


def test_load_certificate_errors_name_the_option_and_the_file(tmp_path: Path) -> None:
    files = CertificateFiles.write(tmp_path)
    other = CertificateFiles.write(_folder(tmp_path))
    locked = CertificateFiles.write(_folder(tmp_path, "locked"), passphrase=b"secret")
    missing, broken = tmp_path / "missing", tmp_path / "broken"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for certificate, key, message in (
        (missing, files.key, f"--tls-cert {missing}: No such file or directory"),
        (files.certificate, missing, f"--tls-key {missing}: No such file or directory"),
        (tmp_path, files.key, f"--tls-cert {tmp_path}: Is a directory"),
        (files.key, files.key, f"--tls-cert {files.key}: no certificate in it; accepted is a chain in PEM"),
        (files.certificate, files.certificate, f"--tls-key {files.certificate}: no private key in it"),
        (files.certificate, locked.key, f"--tls-key {locked.key}: the key is encrypted; accepted is a key without"),
        (
            files.certificate,
            other.key,
            f"--tls-key {other.key}: not the key of the first certificate in --tls-cert {files.certificate}",
        ),
        (broken, files.key, f"--tls-cert {broken} with --tls-key {files.key}: OpenSSL does not accept them: "),
    ):
        with pytest.raises(ConfigurationError) as caught:
            load_certificate(certificate, key)
        assert str(caught.value).startswith(message)


def test_load_certificate_key_of_another_type_is_not_its_key(tmp_path: Path) -> None:
    files, other = CertificateFiles.write(tmp_path), CertificateFiles.write(_folder(tmp_path), key_type="rsa")
    with pytest.raises(ConfigurationError, match=r"--tls-key .*other/server\.key: not the key of"):
        load_certificate(files.certificate, other.key)


@pytest.mark.parametrize("name", ["localhost", None], ids=["with a name", "without a name"])
@pytest.mark.parametrize("key_type", ["ec", "rsa"])
def test_reload_serves_the_new_certificate_to_new_connections(tmp_path: Path, key_type: str, name: str | None) -> None:
    """Also when the type of the key changes: OpenSSL keeps a certificate for each type in one context."""
    old = CertificateFiles.write(tmp_path, key_type="rsa")
    certificate = ServerCertificate(old.certificate, old.key)
    context = certificate.context
    assert served_certificate(certificate, name=name) == old.der
    new = CertificateFiles.write(tmp_path, key_type=key_type)  # type: ignore[arg-type]
    with capture_logs() as logs:
        certificate.reload()
    assert served_certificate(certificate, name=name) == new.der
    assert certificate.context is context
    assert [(entry["event"], entry["expires"]) for entry in logs] == [("certificate.reloaded", new.expires.isoformat())]


def test_reload_of_files_that_do_not_fit_keeps_the_old_certificate(tmp_path: Path) -> None:
    files = CertificateFiles.write(tmp_path)
    certificate = ServerCertificate(files.certificate, files.key)
    before = files.der
    files.key.write_bytes(CertificateFiles.write(_folder(tmp_path)).key.read_bytes())
    with capture_logs() as logs:
        certificate.reload()
        files.certificate.unlink()
        certificate.reload()
    assert served_certificate(certificate) == before
    assert [entry["event"] for entry in logs] == ["certificate.reload_failed"] * 2
    assert "not the key of the first certificate" in logs[0]["error"]
    assert "No such file" in logs[1]["error"]


def test_expired_certificate_is_served_with_a_warning(tmp_path: Path) -> None:
    files = CertificateFiles.write(tmp_path, expires=datetime(2026, 1, 1, tzinfo=UTC))
    with capture_logs() as logs:
        certificate = ServerCertificate(files.certificate, files.key)
    assert [(entry["event"], entry["log_level"], entry["expired"]) for entry in logs] == [
        ("certificate.expired", "warning", "2026-01-01T00:00:00+00:00")
    ]
    assert served_certificate(certificate) == files.der


def _folder(parent: Path, name: str = "other") -> Path:
    made = parent / name
    made.mkdir()
    return made
