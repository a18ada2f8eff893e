"""How a worker asks for what the other workers of its server have."""

from typing import Protocol

import msgspec

from faas.peers.metric_families import Family


class CompilerState(msgspec.Struct, frozen=True):
    """The health of the worker that compiles: of its consumers, and of its toolchains."""

    consumers: dict[str, str]
    toolchains: dict[str, str]


class PeerMetrics(msgspec.Struct, frozen=True):
    """The metrics of each other worker, and the counts of those that have ended."""

    workers: list[list[Family]]
    ended: list[Family]


class Peers(Protocol):
    """The other workers of a server."""

    async def metrics(self, own: list[Family]) -> PeerMetrics:
        """Return the metrics of the others. Those that do not answer in time are as they were last.

        `own` are kept: should this worker end without a word, its counts are these.
        """

    async def compiler_state(self) -> CompilerState | None:
        """Return the health of the worker that compiles; None while there is none that answers."""
