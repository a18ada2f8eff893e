"""What servers acknowledged to the clients of a torture run, and what they answered although they must not."""

from collections import Counter
from datetime import UTC, datetime

import httpx
import msgspec

_KEPT_EVENTS = 20


class KnownFunction(msgspec.Struct):
    """What clients know of one function. Only its owner promotes, rolls back and observes what is live.

    `revisions` has the markers of acknowledged revisions by number, `ready` the numbers that were seen READY. Once
    `served` is true, the function is never refused. `live` was last seen live, None where that is not known; apart from
    it only a revision above `floor` may be live, which was deployed later and went live by itself. `certain` is false
    after a decision that may have been made or not.
    """

    id: str
    name: str
    revisions: dict[int, str] = msgspec.field(default_factory=dict)
    ready: set[int] = msgspec.field(default_factory=set)
    served: bool = False
    live: int | None = None
    floor: int = 0
    certain: bool = True
    events: list[str] = msgspec.field(default_factory=list)  # what its owner did and saw, for messages
    rollbacks: int = 0  # acknowledged
    lost_rollbacks: int = 0  # that may have been made or not

    @property
    def newest(self) -> int:
        """The greatest acknowledged number."""
        return max(self.revisions)

    def note(self, event: str) -> None:
        """Remember an event with its time."""
        self.events = [*self.events[-_KEPT_EVENTS:], f"{datetime.now(UTC):%H:%M:%S.%f} {event}"]

    def observe(self, revision: int) -> bool:
        """Take `revision` as the live one; return whether it may be."""
        self.served = True
        self.ready.add(revision)
        if self.live is not None and revision != self.live and revision <= self.floor:
            return False
        self.live, self.floor = revision, max(self.floor, revision)
        return True

    def decide(self, revision: int, latest: int) -> None:
        """Take over an acknowledged decision, made when `latest` was the newest revision."""
        self.served = True
        self.ready.add(revision)
        self.live, self.floor, self.certain = revision, latest, True

    def forget(self) -> None:
        """Take into account that a decision may have been made or not."""
        self.live, self.floor, self.certain = None, 0, False


class KnownExecution(msgspec.Struct, frozen=True):
    """The revision and the input of an acknowledged execution."""

    function: str
    revision: int
    number: int


class Ledger(msgspec.Struct):
    """All that was acknowledged, to be found at the end.

    `answered` counts acknowledgements by action, `refused` the answers that promise nothing, `lost` the requests whose
    server was killed before it answered. `unexpected` must stay empty; `suspects` are the ids of the functions in it.
    """

    functions: list[KnownFunction] = msgspec.field(default_factory=list)
    executions: dict[str, KnownExecution] = msgspec.field(default_factory=dict)
    answered: Counter[str] = msgspec.field(default_factory=Counter)
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    lost: Counter[str] = msgspec.field(default_factory=Counter)
    unexpected: list[str] = msgspec.field(default_factory=list)
    suspects: set[str] = msgspec.field(default_factory=set)

    def acknowledged(self, action: str, response: httpx.Response, *others: int, success: int = 200) -> bool:
        """Return whether a response promises something: its status is `success`. Only `others` are expected beside it."""
        if response.status_code == success:
            self.answered[action] += 1
            return True
        self.refused[f"{action} {response.status_code}"] += 1
        if response.status_code not in others:
            self.report(f"{action}: {response.status_code} {response.text[:500]}")
        return False

    def report(self, what: str, function: KnownFunction | None = None) -> None:
        """Record something that must not happen."""
        self.unexpected.append(what)
        if function:
            self.unexpected += function.events
            self.suspects.add(function.id)
