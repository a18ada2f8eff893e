"""The index of a run: each address of the input once, with the offset of its row in the spool.

A run keeps one text and one number in memory for each address; the rows are on disk.
"""

from collections.abc import Iterable, Iterator

from faas.compute_module.pipeline.row_spool import RowSpool
from faas.compute_module.pipeline.rows import EMPTY_EMAIL, Row, error_row

_PENDING = -1  # in place of an offset
_CACHED_ELSEWHERE = 0  # for a cached address whose row is not written again; any offset that is not _PENDING


class AddressIndex:
    """The trimmed addresses of the input, in the order of their first occurrence."""

    def __init__(self, spool: RowSpool, model: str) -> None:
        self._spool = spool
        self._model = model
        self._offsets: dict[str, int] = {}
        self._cached = 0
        self.rows = 0
        self.blanks = 0

    def add_all(self, emails: Iterable[str]) -> None:
        """Count every row of the input and add its address; of a blank address only the row is counted."""
        for email in emails:
            self.rows += 1
            if not email:
                self.blanks += 1
            else:
                self._offsets.setdefault(email, _PENDING)

    def __contains__(self, email: str) -> bool:
        return email in self._offsets

    @property
    def unique(self) -> int:
        """The number of different addresses."""
        return len(self._offsets)

    @property
    def cached(self) -> int:
        """The number of addresses that an earlier run enriched."""
        return self._cached

    def mark_cached(self, email: str, row: Row | None) -> None:
        """Record that an earlier run enriched `email`; `row` is its row when this run writes it again.

        The last call for an address wins.
        """
        if self._offsets[email] == _PENDING:
            self._cached += 1
        self._offsets[email] = _CACHED_ELSEWHERE if row is None else self._spool.append(row)

    def add_result(self, row: Row) -> None:
        """Record the row of an address that this run processed."""
        self._offsets[row.email] = self._spool.append(row)

    def pending(self) -> Iterator[str]:
        """Return the pending addresses in input order. Results may be added during the iteration."""
        return (email for email, offset in self._offsets.items() if offset == _PENDING)

    def rows_in_order(self, emails: Iterable[str]) -> Iterator[Row]:
        """Return the row of each of `emails`, the addresses of the input read again; pending ones are left out."""
        blank = error_row("", EMPTY_EMAIL, self._model)
        for email in emails:
            if not email:
                yield blank
            elif (offset := self._offsets[email]) != _PENDING:
                yield self._spool.read(offset)
