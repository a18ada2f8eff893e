"""The hosts by which clients may address the server: the defence of a server on a loopback address against browsers.

A web page can let its own name resolve to 127.0.0.1 (DNS rebinding). For the browser, the page and the server then have
the same origin, and the page may do everything. The `Host` header still has the page's name.
"""

from collections.abc import Iterable

from faas.web_origin import host_of_header, is_loopback, parse_host

_CACHE_VALUES = 64  # `Host` headers that were accepted; the port may be any number
_ALL_ADDRESSES = {"0.0.0.0", "::"}  # noqa: S104 - not bound here


class HostPolicy:
    """Decides which `Host` headers are accepted: those of loopback, of `--host` and of `--allowed-hosts`, or all.

    Ports are not compared: the server may be behind a forwarded port.
    """

    def __init__(self, bound_address: str, host: str = "", allowed_hosts: Iterable[str] = ()) -> None:
        """`bound_address` is what the server listens on, an address or `localhost`; `host` is the setting."""
        listed = {parse_host(allowed) for allowed in allowed_hosts}
        self._accepts_all = not listed and not is_loopback(bound_address)
        if host and host not in _ALL_ADDRESSES:
            listed.add(host.lower().removesuffix("."))
        self._accepted = frozenset(listed)
        self._cache: set[bytes] = set()

    def accepts(self, value: bytes | None) -> bool:
        """Return whether a request with this `Host` header is served; one that is missing or not valid is not."""
        if value in self._cache:
            return True
        if value is None:
            return False
        host = host_of_header(value)
        accepted = host is not None and (self._accepts_all or host in self._accepted or is_loopback(host))
        if accepted and len(self._cache) < _CACHE_VALUES:
            self._cache.add(value)
        return accepted
