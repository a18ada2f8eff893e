"""Check of the certificate of `--tls-cert`: that it can be served, and that it does not expire soon."""

from collections.abc import Iterator
from datetime import UTC, datetime

from faas.doctor.finding import Finding, fail, ok, warn
from faas.errors import ConfigurationError
from faas.server.certificate import load_certificate
from faas.settings import Settings

WARNING_DAYS = 14  # authorities that renew every 90 days do so a month ahead


def check(settings: Settings) -> Iterator[Finding]:
    """Load the files as `faas serve` does; nothing without TLS."""
    if settings.tls_cert is None or settings.tls_key is None:
        return
    try:
        certificate = load_certificate(settings.tls_cert, settings.tls_key)
    except ConfigurationError as error:
        yield fail("certificate", str(error), "correct --tls-cert and --tls-key")
        return
    expires = f"{certificate.expires:%Y-%m-%d %H:%M} UTC"
    action = "renew it, then send the server a SIGHUP"
    if certificate.is_expired:
        yield warn("certificate", f"{settings.tls_cert} expired on {expires}: clients refuse it", action)
    elif (certificate.expires - datetime.now(UTC)).days < WARNING_DAYS:
        yield warn("certificate", f"{settings.tls_cert} expires on {expires}", action)
    else:
        yield ok("certificate", f"{settings.tls_cert} is valid until {expires}")
