"""Check of the address to listen on: free, taken by a faas server, or by another program."""

import errno
import http.client
import ipaddress
import socket
import ssl
import uuid
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from faas.api.schemas import Health, HealthStatus
from faas.doctor.finding import Finding, fail, ok
from faas.settings import Settings

_TIMEOUT_SECONDS = 2.0
_ANSWER_BYTES = 64 << 10  # read of an answer to /health


def check(settings: Settings) -> Iterator[Finding]:
    """Bind the address as `faas serve` does, without listening, and query /health if the port is in use."""
    yield check_address(settings.host, settings.port, tls=settings.tls_cert is not None)


def check_address(host: str, port: int, *, tls: bool = False) -> Finding:
    """Check `host`:`port`. A server that answers there is asked by HTTPS if `tls`."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except UnicodeError:
        return fail("port", f"{host!r} is not a host name or an address", "correct --host")
    except socket.gaierror as error:
        return fail("port", f"{host!r}: {error.strerror}", "correct --host: a name or an address of this machine")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _judge_taken(str(address[0]), port, place, tls=tls)
        action = "correct --host: an address of this machine, or 0.0.0.0 for all"
        if error.errno == errno.EACCES:
            action = "choose a port from 1024 on with --port, or give faas CAP_NET_BIND_SERVICE"
        return fail("port", f"{place}: {error.strerror}", action)
    return ok("port", f"{place} is free" if port else f"{place}: the system chooses a free port")


def _judge_taken(host: str, port: int, place: str, *, tls: bool) -> Finding:
    health = ask_health(_reachable(host), port, tls=tls)
    if health is None:
        action = "stop that program (`ss -ltnp` names it), or choose another port with --port"
        return fail("port", f"{place} is taken by another program", action)
    if isinstance(health, HealthStatus):
        if health.status == "UP":
            return ok("port", f"a faas server that asks for tokens serves {place}: UP")
        return fail(
            "port",
            f"a faas server that asks for tokens serves {place}: DOWN",
            "look at its log; docs/how-to/operate.md",
        )
    if health.status == "UP":
        return ok("port", f"a faas {health.version} serves {place}: UP, role {health.role}")
    parts = {"database": health.database, **health.consumers, **health.toolchains}
    down = "; ".join(f"{name} {state}" for name, state in parts.items() if state.startswith("DOWN"))
    return fail(
        "port", f"a faas {health.version} serves {place}: DOWN: {down}", "look at its log; docs/how-to/operate.md"
    )


def _reachable(host: str) -> str:
    """Return where to ask a server that listens on `host`: a wildcard is no address to connect to."""
    address = ipaddress.ip_address(host.split("%", 1)[0])
    return ("::1" if address.version == 6 else "127.0.0.1") if address.is_unspecified else host


def ask_health(host: str, port: int, *, tls: bool = False) -> Health | HealthStatus | None:
    """Return what the faas server at `host`:`port` says of its health; None when it is no faas server.

    Without a token, one that asks for tokens gives the status alone: it is known by the id of the request, which faas
    returns.
    """
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    if tls:
        connection = http.client.HTTPSConnection(
            host, port, timeout=_TIMEOUT_SECONDS, context=_context_without_verification()
        )
    try:
        request_id = str(uuid.uuid4())
        connection.request("GET", "/health", headers={"X-Request-Id": request_id})
        response = connection.getresponse()
        answer = response.read(_ANSWER_BYTES)
        if response.headers.get("X-Request-Id") == request_id:
            with suppress(msgspec.ValidationError):
                return msgspec.json.decode(answer, type=Health)
            return msgspec.json.decode(answer, type=HealthStatus)
        return msgspec.json.decode(answer, type=Health)
    except (OSError, http.client.HTTPException, msgspec.DecodeError, UnicodeError):
        return None
    finally:
        connection.close()


def _context_without_verification() -> ssl.SSLContext:
    """Return a context for this machine's own server: an address is rarely a name of its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
