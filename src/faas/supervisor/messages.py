"""What the supervisor and a worker tell each other, over a socket of their own."""

from pathlib import Path
from uuid import UUID

import msgspec

from faas.api.access import GateState
from faas.peers import CompilerState, Family, PeerMetrics
from faas.settings import Settings


class _Message(msgspec.Struct, frozen=True, tag=True):
    """A message; its class is its tag."""


class Begin(_Message, frozen=True):
    """To a new worker: its settings, its slot in the shared memory, and whether it is the first one."""

    settings: Settings
    slot: int
    slots: int
    first: bool


class Stop(_Message, frozen=True):
    """To a worker: shut down as after SIGTERM; `immediately` as after a second one."""

    immediately: bool


class Retire(_Message, frozen=True):
    """To a worker: end without failing a request; another one serves already."""


class Reap(_Message, frozen=True):
    """To a worker: this process has ended, close its executions."""

    process_id: UUID


class AskMetrics(_Message, frozen=True):
    """To a worker: send Metrics with this number."""

    number: int


class AskCompilerState(_Message, frozen=True):
    """To the worker that compiles: send CompilerHealth with this number. To the supervisor: ask that worker."""

    number: int


class AskPeers(_Message, frozen=True):
    """From a worker: ask the others for their metrics; `own` are its own."""

    number: int
    own: list[Family]


class PeersAnswer(_Message, frozen=True):
    """To a worker: the metrics that it has asked for."""

    number: int
    metrics: PeerMetrics


class Metrics(_Message, frozen=True):
    """From a worker: its metrics. The last ones that it sends, when it ends, have no number."""

    number: int | None
    families: list[Family]


class CompilerHealth(_Message, frozen=True):
    """From the worker that compiles, and to the one that has asked; None if there is none that answers."""

    number: int
    state: CompilerState | None


class Ready(_Message, frozen=True):
    """From a worker: it serves. `process_id` is its heartbeat's; the others are what the supervisor shows."""

    process_id: UUID
    gate: GateState
    any_admitted: bool


class Failed(_Message, frozen=True):
    """From a worker: it cannot serve, and ends."""

    reason: str


Message = (
    Begin
    | Stop
    | Retire
    | Reap
    | AskMetrics
    | AskCompilerState
    | AskPeers
    | PeersAnswer
    | Metrics
    | CompilerHealth
    | Ready
    | Failed
)


def _encode_path(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError


def _decode_path(kind: type, value: object) -> Path:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError


encoder = msgspec.msgpack.Encoder(enc_hook=_encode_path)
decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message, dec_hook=_decode_path)
