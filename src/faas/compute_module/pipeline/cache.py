"""What an earlier run found, so that this one need not ask again."""

from collections.abc import Iterable

from faas.compute_module.pipeline.addresses import Addresses
from faas.compute_module.pipeline.rows import Row


def reuse_rows(addresses: Addresses, earlier: Iterable[Row], *, keep: bool) -> None:
    """Mark the addresses that `earlier` rows answer; with `keep` their rows are written again as they are.

    Only rows with status ok count, so among duplicates ok beats not ok; among those the later wins. Rows of addresses
    that the input no longer has are dropped.
    """
    for row in earlier:
        email = row.email.strip()
        if row.is_ok and email in addresses:
            addresses.reuse(email, row if keep else None)
