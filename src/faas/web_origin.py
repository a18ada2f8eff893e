"""Hosts and origins, as settings name them and as clients send them in `Host` (RFC 9110) and `Origin` (RFC 6454)."""

import ipaddress
import re
from urllib.parse import urlsplit

HOST_FORMAT = "a host name or an address without a port, such as faas.example.com"
ORIGIN_FORMAT = "an origin such as https://app.example.com or http://localhost:5173"

_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
# uri-host and port of RFC 3986; without captures of its parts, since a name may have nearly any character.
_HOST_HEADER = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def parse_host(text: str) -> str:
    """Return the host in the form of `host_of_header`. Raises ValueError."""
    host = text.lower().removesuffix(".")
    literal = host.removeprefix("[").removesuffix("]")
    if ":" in literal:
        try:
            return str(ipaddress.IPv6Address(literal))
        except ValueError:
            reason = "is a URL" if "//" in literal else "has a port, which is not compared"
            raise ValueError(f"{text!r} {reason}") from None
    if not _NAME.fullmatch(host):
        raise ValueError(f"{text!r} is neither a host name nor an address")
    return host


def host_of_header(value: bytes) -> str | None:
    """Return the host of a `Host` header, without its port, in lower case; None if the header is not valid.

    An IPv6 address is in its shortest form, without brackets.
    """
    if not (found := _HOST_HEADER.fullmatch(value)):
        return None
    host = found[1].decode("ascii").lower().removesuffix(".")
    if not host.startswith("["):
        return host
    try:
        return str(ipaddress.IPv6Address(host[1:-1]))
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Return whether a host of `parse_host` or `host_of_header` is `localhost` or an address of the loopback interface.

    A browser resolves neither with DNS, so that the owner of a domain cannot make it stand for this machine.
    """
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return address.is_loopback


def parse_origin(text: str) -> str:
    """Return the origin as browsers send it: in lower case, without the default port. Raises ValueError."""
    if text == "*":
        raise ValueError("'*' is every web page; list the origins that may call the server")
    parts = urlsplit(text.lower())
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{text!r} does not begin with http:// or https:// and a host")
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{text!r} has more than a scheme, a host and a port")
    host = parse_host(parts.hostname)
    return origin_of(parts.scheme, f"[{host}]" if ":" in host else host, parts.port)


def origin_of(scheme: str, host: str, port: int | None) -> str:
    """Return the origin of these parts, as browsers send it; an IPv6 address as `host` has brackets."""
    return f"{scheme}://{host}" if port in (None, _DEFAULT_PORTS[scheme]) else f"{scheme}://{host}:{port}"
