"""The setting `outbound` of a function: which origins it may send HTTP requests to, and which addresses they may have.

Two questions are answered for each request. An *origin* (scheme, host and port) is admitted by a pattern of origins or,
if its host is a literal address, by a range that holds it. The *address* that it connects to must be on the public
internet, unless the list names that literal address with the scheme and the port of the request, or has a range that
holds it. `localhost` with its scheme and port admits loopback addresses, for requests to `localhost` only. `*` admits
every origin, and no private address.
"""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

import idna
import msgspec

OUTBOUND_FORM = (
    "accepted are origins such as https://api.example.com, https://api.example.com:8443, https://*.example.com, "
    "http://127.0.0.1:9000 and http://localhost:9000, ranges of addresses such as 10.0.0.0/8, "
    "and * for every origin on the public internet"
)
MAX_OUTBOUND_PATTERNS = 100
_MAX_PATTERN_LENGTH = 300
DEFAULT_PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
AddressRange = ipaddress.IPv4Network | ipaddress.IPv6Network

_ORIGIN = re.compile(r"(?i:(https?)://)(\[[^\[\]/?#@\\]*\]|[^\[\]:/?#@\\]+)(?::([0-9]{1,5}))?")
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_LITERAL = re.compile(r"\[[0-9A-Fa-f:.]+\]")  # without the name of an interface (%eth0)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOOPBACK_RANGE, _LOOPBACK_ADDRESS = ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Address("::1")


class Origin(msgspec.Struct, frozen=True):
    """Scheme, host and port of a URL. The host is as `parse_host` returns it: an IPv6 address has no brackets."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header}"

    @property
    def host_header(self) -> str:
        """The host, and the port where it is not the one of the scheme, as the header `Host` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def address(self) -> Address | None:
        """The host as an address, or None where it is a name."""
        return literal_address(self.host)


class OriginPattern(msgspec.Struct, frozen=True):
    """An origin or, with `subdomains`, all origins whose host has one or more labels before that of `origin`."""

    origin: Origin
    subdomains: bool = False

    def __str__(self) -> str:
        return str(self.origin).replace("://", "://*.", 1) if self.subdomains else str(self.origin)

    def admits(self, origin: Origin) -> bool:
        """Return whether the pattern fits an origin."""
        if not self.subdomains:
            return origin == self.origin
        same = (origin.scheme, origin.port) == (self.origin.scheme, self.origin.port)
        return same and origin.host.endswith("." + self.origin.host)


class OutboundPatterns(msgspec.Struct, frozen=True):
    """A checked list, hashable. `texts` is its canonical form: without duplicates, in the given order."""

    texts: tuple[str, ...] = ()
    origins: tuple[OriginPattern, ...] = ()
    ranges: tuple[AddressRange, ...] = ()
    everything: bool = False

    def admits(self, origin: Origin) -> bool:
        """Return whether requests to an origin are allowed, whose address is judged by itself."""
        if self.everything or any(pattern.admits(origin) for pattern in self.origins):
            return True
        address = origin.address
        return address is not None and self._in_ranges(address)

    def names_address(self, origin: Origin, address: Address) -> bool:
        """Return whether the list itself admits `address` for a request to `origin`, public or not."""
        if self._in_ranges(address):
            return True
        loopback = address == _LOOPBACK_ADDRESS or address in _LOOPBACK_RANGE
        return any(
            (pattern.origin.scheme, pattern.origin.port) == (origin.scheme, origin.port)
            and (pattern.origin.address == address or (loopback and pattern.origin.host == origin.host == "localhost"))
            for pattern in self.origins
            if not pattern.subdomains
        )

    def _in_ranges(self, address: Address) -> bool:
        return any(address in one for one in self.ranges)


NO_OUTBOUND = OutboundPatterns()


def parse_outbound(patterns: Iterable[str]) -> OutboundPatterns:
    """Check the list of a function. Raises ValueError, which says what is accepted."""
    texts: dict[str, None] = {}
    origins: list[OriginPattern] = []
    ranges: list[AddressRange] = []
    for pattern in patterns:
        parsed = pattern if pattern == "*" else _parse_pattern(pattern)
        if str(parsed) in texts:
            continue
        texts[str(parsed)] = None
        if len(texts) > MAX_OUTBOUND_PATTERNS:
            raise ValueError(f"more than {MAX_OUTBOUND_PATTERNS} patterns; accepted are up to {MAX_OUTBOUND_PATTERNS}")
        if isinstance(parsed, OriginPattern):
            origins.append(parsed)
        elif not isinstance(parsed, str):
            ranges.append(parsed)
    return OutboundPatterns(tuple(texts), tuple(origins), tuple(ranges), "*" in texts)


@lru_cache(4096)
def parse_origin(text: str) -> Origin:
    """Return the origin that `text` is, without a path. Raises ValueError with a part of a sentence."""
    if not (found := _ORIGIN.fullmatch(text)):
        raise ValueError("has not the form of an origin, http:// or https:// with a host")
    scheme = found[1].lower()
    port = int(found[3]) if found[3] else DEFAULT_PORTS[scheme]
    if not 1 <= port <= 65_535:
        raise ValueError(f"has the port {port}, which does not exist")
    return Origin(scheme, parse_host(found[2]), port)


def parse_host(text: str) -> str:
    """Return a host in lower case, names in ASCII (IDNA) without a trailing dot. Raises ValueError.

    The forms of IPv4 addresses that resolvers accept beside the usual one (2130706433, 0x7f.1, 127.1) are refused, so
    that what is compared is what is connected to.
    """
    if len(text) > 255:
        raise ValueError("has a host with more than 255 characters")
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:].removesuffix("]") if _LITERAL.fullmatch(text) else ""))
        except ValueError:
            raise ValueError(f"has the host {text[:100]!r}, which is not an IPv6 address") from None
    name = (text.lower() if text.isascii() else _ascii_name(text)).removesuffix(".")
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise ValueError(f"has the host {text[:100]!r}, which is neither a name nor an address")
    if _NUMBER.fullmatch(name.rpartition(".")[2]) and literal_address(name) is None:
        raise ValueError(f"has the host {text[:100]!r}; an address has the form 192.0.2.1")
    return name


def literal_address(host: str) -> Address | None:
    """Return the address that a host of `parse_host` is, or None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _ascii_name(text: str) -> str:
    try:
        return idna.encode(text, uts46=True).decode("ascii").lower()
    except idna.IDNAError:
        raise ValueError(f"has the host {text[:100]!r}, which is not a domain name") from None


def _parse_pattern(text: str) -> OriginPattern | AddressRange:
    try:
        if len(text) > _MAX_PATTERN_LENGTH:
            raise ValueError(f"has more than {_MAX_PATTERN_LENGTH} characters")  # noqa: TRY301
        if "://" not in text and "/" in text:
            return _parse_range(text)
        scheme, separator, rest = text.partition("://*.")
        if not separator:
            return OriginPattern(parse_origin(text))
        parent = parse_origin(f"{scheme}://{rest}")
        if parent.address is not None:
            raise ValueError("has * before an address")  # noqa: TRY301
        return OriginPattern(parent, subdomains=True)
    except ValueError as error:
        raise ValueError(f"{text[:100]!r} {error}; {OUTBOUND_FORM}") from None


def _parse_range(text: str) -> AddressRange:
    try:
        return ipaddress.ip_network(text.replace("%", " "))  # an interface (%eth0) has no meaning here
    except ValueError:
        raise ValueError("is not a range of addresses, or the address in it is not its first") from None
