"""A limit on failed authentications for each client address, which does not hit the tokens that are used from there."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

_BURST = 20
SECONDS_FOR_EACH = 5.0  # after the burst
_MAX_ADDRESSES = 10_000  # with failures; the one whose last failure is longest ago is forgotten first
_MAX_ADMITTED = 50_000  # pairs of address and token
_IPV6_PREFIX = 64  # what one client is usually given


class Failures(msgspec.Struct):
    """When an address has recovered from its failures so far."""

    recovered_at: float

    def begin(self, now: float) -> float:
        """Count a failure and return 0, or count none and return after how many seconds to try again."""
        recovered_at = max(self.recovered_at, now) + SECONDS_FOR_EACH
        too_early = recovered_at - now - _BURST * SECONDS_FOR_EACH
        if too_early > 0:
            return too_early
        self.recovered_at = recovered_at
        return 0.0


class Attempts:
    """Counts the failed authentications of each address. `clock` returns seconds.

    An address may fail 20 times, and once more every 5 s. One that has failed more often is refused whatever it sends,
    but for the tokens that were admitted from it before. Addresses of IPv6 count by their /64.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, Failures] = OrderedDict()
        self._admitted: OrderedDict[tuple[str, str], None] = OrderedDict()

    def is_admitted(self, address: str, token_id: str) -> bool:
        """Return whether this token was admitted from this address before."""
        return (address, token_id) in self._admitted

    def begin(self, address: str) -> float:
        """Count a failure in advance and return 0, or count none and return after how many seconds to try again."""
        network = network_of(address)
        now = self._clock()
        failures = self._failures.setdefault(network, Failures(now))
        self._failures.move_to_end(network)
        if too_early := failures.begin(now):
            return too_early
        if len(self._failures) > _MAX_ADDRESSES:
            self._failures.popitem(last=False)
        return 0.0

    def succeed(self, address: str, token_id: str) -> None:
        """Remember that the token was admitted from the address, and take back what `begin` counted."""
        self._remember(address, token_id)
        self.take_back(address)

    def take_back(self, address: str) -> None:
        """Take back what `begin` counted: the attempt has not failed."""
        network = network_of(address)
        failures = self._failures.get(network)
        if failures is None:
            return
        failures.recovered_at -= SECONDS_FOR_EACH
        if failures.recovered_at <= self._clock():
            del self._failures[network]

    def _remember(self, address: str, token_id: str) -> None:
        self._admitted[address, token_id] = None
        if len(self._admitted) > _MAX_ADMITTED:
            self._admitted.popitem(last=False)


def network_of(address: str) -> str:
    """Return what failures are counted by: the address, or its network for IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a Unix socket, for example
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
    return str(parsed)
