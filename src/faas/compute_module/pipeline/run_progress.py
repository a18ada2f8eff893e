"""The counts of a run, for the progress display and the summary at its end."""

import time

import msgspec


class RunProgress(msgspec.Struct):
    """Counts that grow during a run. Mutable, and changed only by the task of the run.

    `ok` and `failed` count addresses that this run enriched, `blanks` rows with a blank address. `written` describes
    the output so far, for the exit message; `activity` is the current step.
    """

    rows: int = 0
    unique: int = 0
    cached: int = 0
    ok: int = 0
    failed: int = 0
    blanks: int = 0
    written: str = "nothing"
    activity: str = ""
    started: float = msgspec.field(default_factory=time.monotonic)

    @property
    def pending(self) -> int:
        """The number of addresses that this run has to enrich, finished ones included."""
        return self.unique - self.cached

    @property
    def done(self) -> int:
        """The number of those that are finished."""
        return self.ok + self.failed

    @property
    def errors(self) -> int:
        """The number of addresses that failed and of rows with a blank address."""
        return self.failed + self.blanks

    @property
    def seconds(self) -> float:
        """The seconds since the run began."""
        return time.monotonic() - self.started

    def summary(self) -> str:
        """Return the counts in one line that scripts can parse."""
        return (
            f"rows={self.rows} unique={self.unique} cached={self.cached} ok={self.ok} error={self.errors} "
            f"seconds={self.seconds:.1f}"
        )
