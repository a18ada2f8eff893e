"""Failed authentications in a server of several processes: an address is limited by those of all of them."""

import time
from collections.abc import Callable

from faas.access.attempts import SECONDS_FOR_EACH, Attempts, Failures, network_of
from faas.shared_limits import UsageTable

_ADMITTED_SECONDS = 30 * 86400.0  # after which the table may forget that a token was admitted from an address


class SharedAttempts(Attempts):
    """Attempts that counts in `failures`, and remembers in `admitted` too which tokens were admitted from where.

    `clock` is one that all processes have in common.
    """

    def __init__(self, failures: UsageTable, admitted: UsageTable, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._shared_failures = failures
        self._shared_admitted = admitted

    def is_admitted(self, address: str, token_id: str) -> bool:
        """Return whether this token was admitted from this address before, by any of the processes."""
        if super().is_admitted(address, token_id):
            return True
        if not self._shared_admitted.has(_pair(address, token_id)):
            return False
        self._remember(address, token_id)
        return True

    def begin(self, address: str) -> float:
        """Count a failure in advance and return 0, or count none and return after how many seconds to try again."""
        now = self._clock()
        with self._shared_failures.entry(network_of(address).encode(), now) as entry:
            failures = Failures(entry.time)
            too_early = failures.begin(now)
            entry.time = failures.recovered_at
        return too_early

    def succeed(self, address: str, token_id: str) -> None:
        """Remember that the token was admitted from the address, and take back what `begin` counted."""
        now = self._clock()
        with self._shared_admitted.entry(_pair(address, token_id), now) as entry:
            entry.time = now + _ADMITTED_SECONDS
        super().succeed(address, token_id)

    def take_back(self, address: str) -> None:
        """Take back what `begin` counted: the attempt has not failed."""
        with self._shared_failures.entry(network_of(address).encode(), self._clock()) as entry:
            entry.time -= SECONDS_FOR_EACH


def _pair(address: str, token_id: str) -> bytes:
    return f"{address} {token_id}".encode()
