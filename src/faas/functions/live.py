"""The live revision of a function: the one that calls run. Every change of it goes through here."""

from faas.database.pool import Connection
from faas.functions import queries
from faas.functions.queries import LockedFunctionRow

_MAX_PREVIOUS_REVISIONS = 1000


async def goes_live(connection: Connection, function: LockedFunctionRow, revision: int, *, promote: bool) -> bool:
    """Return whether `revision`, READY now, becomes the live one.

    The first READY revision always does. After that the newest with `promote` wins, in whatever order they are READY.
    """
    if function.live_revision is None or (promote and revision > function.live_revision):
        return True
    if not promote:
        return False
    # A decision for the live revision would have cancelled this promotion. So it is live as the first READY one, and an
    # older revision replaces it if it was not to be promoted itself.
    live = await queries.get_revision(connection, function_id=function.id, number=function.live_revision)
    return live is not None and not live.promote


async def make_live(connection: Connection, function: LockedFunctionRow, revision: int) -> None:
    """Make a READY revision live; the revision that was live until now is the next to roll back to."""
    if revision == function.live_revision:
        return
    previous = function.previous_revisions
    if function.live_revision is not None:
        previous = [*previous, function.live_revision][-_MAX_PREVIOUS_REVISIONS:]
    await queries.set_live(connection, function_id=function.id, revision=revision, previous_revisions=previous)


async def promote(connection: Connection, function: LockedFunctionRow, revision: int) -> None:
    """Make a READY revision live by a decision, which overrides the automatic promotion of those that still wait."""
    await queries.cancel_promotions(connection, function_id=function.id)
    await make_live(connection, function, revision)


async def roll_back(connection: Connection, function: LockedFunctionRow) -> int | None:
    """Make the last previous revision that is still kept live; return its number, or None where there is none.

    The next rollback goes one further back.
    """
    previous = list(function.previous_revisions)
    while previous:
        number = previous.pop()
        if number == function.live_revision:
            continue
        if await queries.get_revision_status(connection, function_id=function.id, number=number) == "READY":
            await queries.cancel_promotions(connection, function_id=function.id)
            await queries.set_live(connection, function_id=function.id, revision=number, previous_revisions=previous)
            return number
    return None
