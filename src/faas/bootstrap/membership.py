"""What a process has as one of the workers of a server."""

import msgspec

from faas.peers import Peers
from faas.queue import messages
from faas.settings import Role, Settings
from faas.shared_limits import SharedLimits

# The queues that a process of each role consumes. Heartbeat, health and metrics belong to every role.
_QUEUES_BY_ROLE: dict[Role, list[str]] = {
    "all": [messages.COMPILATION_JOBS, messages.COMPILATION_RESULTS],
    "api": [messages.COMPILATION_RESULTS],
    "compiler": [messages.COMPILATION_JOBS],
}


class Membership(msgspec.Struct, frozen=True):
    """The worker's part of the shared limits, the other workers, and whether it is the `first` one.

    The first one also does what one process does for all: it compiles, upgrades images, and deletes what expires.
    """

    shared: SharedLimits
    peers: Peers
    first: bool


def queues_of(settings: Settings, membership: Membership | None) -> list[str]:
    """Return the queues that a process consumes."""
    return _QUEUES_BY_ROLE["api" if membership and not membership.first else settings.role]
