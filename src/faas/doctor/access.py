"""Check of who may use the server: whether tokens are asked for, and who reaches it if not."""

from collections.abc import Iterator

from faas.doctor.finding import Finding, ok, warn
from faas.settings import Settings
from faas.web_origin import is_loopback


def check(settings: Settings) -> Iterator[Finding]:
    """Judge `--auth` beside `--host`; whether there is a token, the server says when it starts."""
    beyond_loopback = not is_loopback(settings.host)
    if settings.auth == "off" and beyond_loopback:
        yield warn(
            "access",
            f"off, and other machines reach --host {settings.host}: every client may deploy code and read every input",
            "make a token (`faas token create NAME --scope admin`) and leave --auth off out, or keep others out",
        )
    elif settings.auth == "off":
        yield ok("access", "off: every client on this machine may do everything")
    elif settings.auth == "required" or beyond_loopback:
        yield ok("access", "tokens are asked for")
    else:
        yield ok("access", "tokens are asked for as soon as there is one")
