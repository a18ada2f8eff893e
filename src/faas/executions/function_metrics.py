"""The metric of executions by function: bounded, whatever the number of functions."""

from prometheus_client import Counter

from faas import metrics
from faas.executions.model import Status

MAX_FUNCTIONS = 200
OTHER = "other"
NAMED_OTHER = "_other"  # the names of functions begin with a letter


class FunctionMetrics:
    """Counts the ends of executions by function, revision (`live` or `other`), status and path.

    The first MAX_FUNCTIONS function names have labels of their own until the process ends; all later ones share the
    label `other`. So a function that has this name is labelled `_other`, which no function can be called.
    """

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._counters: dict[tuple[str, bool, Status, bool], Counter] = {}

    def count(self, name: str, *, live: bool, status: Status, inline: bool) -> None:
        """Count one execution of the function `name`, by the revision that was `live` when it started, or another.

        `inline` says that it ran on the event loop, not in a thread.
        """
        counter = self._counters.get((name, live, status, inline))
        if counter is None:
            counter = self._add(name, live, status, inline)
        counter.inc()

    def _add(self, name: str, live: bool, status: Status, inline: bool) -> Counter:
        own = name in self._names or len(self._names) < MAX_FUNCTIONS
        if own:
            self._names.add(name)
        label = (NAMED_OTHER if name == OTHER else name) if own else OTHER
        counter = metrics.EXECUTIONS.labels(label, "live" if live else OTHER, status, "inline" if inline else "thread")
        if own:
            self._counters[name, live, status, inline] = counter
        return counter
