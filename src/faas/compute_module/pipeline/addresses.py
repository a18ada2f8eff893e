"""The index of a run: every address of the input once, and where its row is.

All that a run keeps in memory for each address is its text and one number; the rows are in the spool.
"""

from collections.abc import Iterable, Iterator

from faas.compute_module.pipeline.rows import EMPTY_EMAIL, Row, error_row
from faas.compute_module.pipeline.spool import Spool

_PENDING = -1


class Addresses:
    """The trimmed addresses of the input in the order of their first appearance."""

    def __init__(self, spool: Spool, model: str) -> None:
        self._spool = spool
        self._model = model
        self._places: dict[str, int] = {}
        self._cached = 0
        self.rows = 0
        self.blanks = 0

    def add_all(self, emails: Iterable[str]) -> None:
        """Count every row of the input and note its address; a blank one is counted only."""
        for email in emails:
            self.rows += 1
            if not email:
                self.blanks += 1
            else:
                self._places.setdefault(email, _PENDING)

    def __contains__(self, email: str) -> bool:
        return email in self._places

    @property
    def unique(self) -> int:
        """How many different addresses there are."""
        return len(self._places)

    @property
    def cached(self) -> int:
        """How many of them an earlier run had answered."""
        return self._cached

    def reuse(self, email: str, row: Row | None) -> None:
        """An earlier run answered `email`, with `row` where it must be written again; the last one told counts."""
        if self._places[email] == _PENDING:
            self._cached += 1
        self._places[email] = 0 if row is None else self._spool.add(row)

    def settle(self, row: Row) -> None:
        """The work on an address is done."""
        self._places[row.email] = self._spool.add(row)

    def pending(self) -> Iterator[str]:
        """The addresses that still wait, in input order; settling some while this runs is allowed."""
        return (email for email, place in self._places.items() if place == _PENDING)

    def rows_of(self, emails: Iterable[str]) -> Iterator[Row]:
        """The row of each of `emails`, the input read again; addresses that still wait are left out."""
        blank = error_row("", EMPTY_EMAIL, self._model)
        for email in emails:
            if not email:
                yield blank
            elif (place := self._places[email]) != _PENDING:
                yield self._spool.read(place)
