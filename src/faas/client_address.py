"""The address of a client behind reverse proxies, from `X-Forwarded-For` as far as the proxies are trusted.

Each proxy appends the address that it was connected from, and passes on what it was sent. What a client has written
itself is therefore on the left, and only what trusted proxies have appended, on the right, is true.
"""

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HEADER = b"x-forwarded-for"
NETWORK_FORMAT = "an address such as 10.0.0.5 or a network such as 10.0.0.0/8"


def parse_network(text: str) -> Network:
    """Return the network of "10.0.0.0/8", or of the one address "10.0.0.5". Raises ValueError, also for all addresses.

    IPv4 in an IPv6 address (`::ffff:10.0.0.5`) is taken for IPv4, as addresses of clients are.
    """
    network: Network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and (mapped := network.network_address.ipv4_mapped):
        network = ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    if not network.prefixlen:
        raise ValueError(f"{text!r} is every address: any client could then choose its own")
    return network


class ClientAddresses:
    """Finds the addresses of clients, with the networks of the proxies whose `X-Forwarded-For` is trusted."""

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        """Raises ValueError for what `parse_network` does not accept."""
        self._trusted = tuple(parse_network(text) for text in trusted_proxies)

    def of(self, peer: tuple[str, int] | None, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Return the address that a request came from: that of `peer`, unless it is a trusted proxy.

        Behind trusted proxies it is the rightmost address of `X-Forwarded-For` that is not a trusted proxy itself. An
        entry that is no address ends the search: the address is that of the proxy which has passed it on. `peer` is
        the `client` and `headers` are the `headers` of an ASGI scope, with lower-case names. Without a peer, as in
        tests, the address is "".
        """
        if peer is None:
            return ""
        if not self._trusted:
            return peer[0]
        address = _parse_address(peer[0])
        if address is None or not self._is_trusted(address):
            return peer[0] if address is None else str(address)
        for entry in reversed(_entries(headers)):
            forwarded = _parse_address(entry)
            if forwarded is None:
                break
            address = forwarded
            if not self._is_trusted(address):
                break
        return str(address)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _entries(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Return the list in all headers X-Forwarded-For: several are one list, in their order (RFC 9110, section 5.3)."""
    values = [value.decode("latin-1") for name, value in headers if name == _HEADER]
    return ",".join(values).split(",") if values else []


def _parse_address(text: str) -> Address | None:
    """Return the address in an entry, None if it is no address. A port, as some proxies append, is left out."""
    text = text.strip(" \t")
    if text.startswith("["):
        text, end, port = text[1:].partition("]")
        if not end or (port and not _is_port(port)):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(":" + port):
            return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            address = ipaddress.IPv6Address(int(address))
        return address.ipv4_mapped or address
    return address


def _is_port(text: str) -> bool:
    return text[0] == ":" and text[1:].isascii() and text[1:].isdigit() and len(text) <= 6
