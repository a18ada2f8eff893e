"""The revisions of a function: listing them, and deciding which one is live."""

from uuid import UUID

import structlog

from faas import audit
from faas.caller import Caller
from faas.database.pool import Pool, acquire
from faas.errors import RevisionConflict, RevisionNotFound
from faas.function_ref import FunctionRef
from faas.functions import live, lookup, queries
from faas.functions.model import Function, Revision

log = structlog.get_logger()

_MAX_PAGE_BYTES = 8 << 20  # of sources in one page; a page has at least one revision


class RevisionService:
    """The revisions of the functions in the database of `pool`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list(
        self, caller: Caller, function_ref: FunctionRef, *, limit: int, before: int | None = None
    ) -> tuple[list[Revision], bool]:
        """Return up to `limit` revisions below `before`, newest first, and whether more follow.

        A page is shorter when its sources are large. Raises FunctionNotFound.
        """
        async with acquire(self._pool) as connection:
            function_id = await lookup.find_id(connection, caller, function_ref)
            rows = await queries.list_revisions(
                connection, function_id=function_id, before=before, limit=limit, budget=_MAX_PAGE_BYTES
            )
        more_follow = bool(rows) and rows[0].found > len(rows)
        return [lookup.to_revision(row) for row in rows], more_follow

    async def get(self, caller: Caller, function_ref: FunctionRef, number: int) -> Revision:
        """Return a revision. Raises FunctionNotFound, RevisionNotFound."""
        async with acquire(self._pool) as connection:
            function_id = await lookup.find_id(connection, caller, function_ref)
            row = await queries.get_revision(connection, function_id=function_id, number=number)
        if row is None:
            raise RevisionNotFound(str(function_ref), number)
        return lookup.to_revision(row)

    async def promote(self, caller: Caller, function_ref: FunctionRef, number: int) -> Function:
        """Make a READY revision the live one, for every call that begins after this returns.

        Raises FunctionNotFound, RevisionNotFound, RevisionConflict.
        """
        async with acquire(self._pool) as connection, connection.transaction():
            function = await lookup.lock(connection, caller, function_ref)
            status = await queries.get_revision_status(connection, function_id=function.id, number=number)
            if status is None:
                raise RevisionNotFound(function.name, number)
            if status != "READY":
                raise RevisionConflict(
                    f"revision {number} of function {function.name!r} is {status}; only READY ones go live"
                )
            await live.promote(connection, function, number)
            await audit.record(
                connection, caller, "function.promoted", function.name, function_id=function.id, revision=number
            )
            promoted = await lookup.find_function(connection, caller, FunctionRef.by_id(function.id))
        _log_change("function.promoted", function.id, function.live_revision, number)
        return promoted

    async def roll_back(self, caller: Caller, function_ref: FunctionRef) -> Function:
        """Make the revision live that was live before the present one; a second time, the one before that.

        Raises FunctionNotFound, RevisionConflict.
        """
        async with acquire(self._pool) as connection, connection.transaction():
            function = await lookup.lock(connection, caller, function_ref)
            number = await live.roll_back(connection, function)
            if number is None:
                raise RevisionConflict(
                    f"function {function.name!r} has no earlier live revision to roll back to; "
                    "promote takes any READY revision"
                )
            await audit.record(
                connection, caller, "function.rolled_back", function.name, function_id=function.id, revision=number
            )
            rolled_back = await lookup.find_function(connection, caller, FunctionRef.by_id(function.id))
        _log_change("function.rolled_back", function.id, function.live_revision, number)
        return rolled_back


def _log_change(event: str, function_id: UUID, before: int | None, revision: int) -> None:
    log.info(event, function_id=str(function_id), revision=revision, previous_revision=before)
