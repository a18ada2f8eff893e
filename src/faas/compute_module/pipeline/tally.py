"""What a run has done so far, and what it says of itself at the end."""

import time

import msgspec


class Tally(msgspec.Struct):
    """Counts that grow while a run works: the one thing here that is not frozen.

    `ok` and `failed` count addresses that this run asked about, `blanks` rows without one. `written` says what has left
    the process, for whoever stops a run half-way; `note` what the run is doing.
    """

    rows: int = 0
    unique: int = 0
    cached: int = 0
    ok: int = 0
    failed: int = 0
    blanks: int = 0
    written: str = "nothing"
    note: str = ""
    started: float = msgspec.field(default_factory=time.monotonic)

    @property
    def pending(self) -> int:
        """Addresses that this run has to ask about, whether done yet or not."""
        return self.unique - self.cached

    @property
    def done(self) -> int:
        """How many of those it has asked about."""
        return self.ok + self.failed

    @property
    def error(self) -> int:
        """What has, or would have, status=error in the output: addresses that failed and rows without one."""
        return self.failed + self.blanks

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self.started

    def line(self) -> str:
        """The counts in one line that people and programs can read."""
        return (
            f"rows={self.rows} unique={self.unique} cached={self.cached} ok={self.ok} error={self.error} "
            f"seconds={self.seconds:.1f}"
        )
