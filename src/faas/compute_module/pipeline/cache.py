"""The incremental cache: rows of an earlier run, whose addresses are not enriched again."""

from collections.abc import Iterable

from faas.compute_module.pipeline.address_index import AddressIndex
from faas.compute_module.pipeline.rows import Row


def apply_cached_rows(addresses: AddressIndex, earlier_rows: Iterable[Row], *, copy_rows: bool) -> None:
    """Mark the addresses that have a row with status ok; with `copy_rows` this run writes the row again unchanged.

    Of several such rows of an address the last wins. Rows of addresses that the input does not contain are ignored.
    """
    for row in earlier_rows:
        email = row.email.strip()
        if row.is_ok and email in addresses:
            addresses.mark_cached(email, row if copy_rows else None)
