"""Typed functions for the statements of sql/queries/functions.sql, one for each statement.

Each takes a connection, so that the caller's transaction covers the statement.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from faas.database.pool import Connection
from faas.database.queries import load
from faas.functions.model import Status
from faas.languages import Language
from faas.runtime import Contract

_sql = load("functions")


class FunctionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A function, the revision that is shown of it, and its newest revision. `settings` is a JSON document."""

    id: UUID
    name: str
    description: str | None
    language: Language
    source: str
    settings: bytes
    status: Status
    compile_error: str | None
    revision: int
    contract: Contract | None
    latest_revision: int
    latest_status: Status
    latest_compile_error: str | None
    latest_created_at: datetime
    live_revision: int | None
    created_at: datetime
    updated_at: datetime


class FunctionSummaryRow(msgspec.Struct, frozen=True, kw_only=True):
    """The same without the source."""

    id: UUID
    name: str
    description: str | None
    language: Language
    settings: bytes
    status: Status
    compile_error: str | None
    revision: int
    contract: Contract | None
    latest_revision: int
    latest_status: Status
    latest_compile_error: str | None
    latest_created_at: datetime
    live_revision: int | None
    created_at: datetime
    updated_at: datetime


class LockedFunctionRow(msgspec.Struct, frozen=True, kw_only=True):
    """What decides about the revisions of a function whose row is locked."""

    id: UUID
    name: str
    description: str | None
    live_revision: int | None
    first_revision: int
    newest_revision: int
    previous_revisions: list[int]


class RevisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A revision. `settings` is a JSON document."""

    function_id: UUID
    revision: int
    language: Language
    source: str
    settings: bytes
    status: Status
    compile_error: str | None
    contract: Contract | None
    promote: bool
    live: bool
    upgrade_error: str | None
    created_by: str | None
    created_at: datetime


class OutdatedImageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A revision whose image is one of an older engine."""

    function_id: UUID
    number: int


class ImageSourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the image of a revision was taken from, and its digest."""

    language: Language
    source: str
    settings: bytes
    module_digest: bytes
    contract: Contract | None


class ListedRevisionRow(RevisionRow, frozen=True, kw_only=True):
    """A revision of a page, and how many the page could have had without its limit of bytes."""

    found: int


async def insert_function(connection: Connection, *, function_id: UUID, name: str, description: str | None) -> None:
    """Insert a function whose newest revision is 1. Raises asyncpg.UniqueViolationError when the name is taken."""
    await _sql.insert_function(connection, function_id=function_id, name=name, description=description)


async def find_function(
    connection: Connection, *, function_id: UUID | None, name: str | None, like: Sequence[str] | None
) -> UUID | None:
    """Return the id of the function with this id or name, if its name fits `like`, None for any; or None."""
    found: UUID | None = await _sql.find_function(connection, function_id=function_id, name=name, like=like)
    return found


async def get_function(
    connection: Connection,
    *,
    function_id: UUID | None,
    name: str | None,
    like: Sequence[str] | None,
    revision: int | None,
) -> FunctionRow | None:
    """Return the function that find_function finds as `revision` shows it, or as its live revision does; or None."""
    row = await _sql.get_function(connection, function_id=function_id, name=name, like=like, revision=revision)
    return FunctionRow(**row) if row else None


async def list_functions(
    connection: Connection,
    *,
    cursor: UUID | None,
    status: str | None,
    language: str | None,
    like: Sequence[str] | None,
    limit: int,
) -> list[FunctionSummaryRow]:
    """Return up to `limit` functions, newest first, created before `cursor` and with a name like `like` where given."""
    rows = _sql.list_functions(connection, cursor=cursor, status=status, language=language, like=like, limit=limit)
    return [FunctionSummaryRow(**row) async for row in rows]


async def lock_function(
    connection: Connection,
    *,
    function_id: UUID | None,
    name: str | None = None,
    like: Sequence[str] | None = None,
) -> LockedFunctionRow | None:
    """Lock the row of the function that find_function finds until the transaction ends. Returns None without one."""
    row = await _sql.lock_function(connection, function_id=function_id, name=name, like=like)
    return LockedFunctionRow(**row) if row else None


async def update_metadata(connection: Connection, *, name: str, description: str | None, function_id: UUID) -> None:
    """Set name and description. Raises asyncpg.UniqueViolationError when the name is taken."""
    await _sql.update_metadata(connection, name=name, description=description, function_id=function_id)


async def touch_function(connection: Connection, *, function_id: UUID) -> None:
    """Set the time of the function's last change to now."""
    await _sql.touch_function(connection, function_id=function_id)


async def advance_newest(connection: Connection, *, function_id: UUID) -> int:
    """Return the number of the function's next revision, which is then its newest one."""
    number: int = await _sql.advance_newest(connection, function_id=function_id)
    return number


async def set_live(connection: Connection, *, revision: int, previous_revisions: list[int], function_id: UUID) -> None:
    """Make a READY revision live, with the ones to roll back to, the next one last."""
    await _sql.set_live(connection, revision=revision, previous_revisions=previous_revisions, function_id=function_id)


async def delete_function(connection: Connection, *, function_id: UUID) -> UUID | None:
    """Delete a function with its revisions; return its id, or None when there is none."""
    deleted: UUID | None = await _sql.delete_function(connection, function_id=function_id)
    return deleted


async def insert_revision(
    connection: Connection,
    *,
    function_id: UUID,
    number: int,
    language: str,
    source: str,
    settings: bytes,
    promote: bool,
    created_by: str | None,
) -> None:
    """Insert a revision, PENDING."""
    await _sql.insert_revision(
        connection,
        function_id=function_id,
        number=number,
        language=language,
        source=source,
        settings=settings,
        promote=promote,
        created_by=created_by,
    )


async def insert_ready_revision(
    connection: Connection,
    *,
    function_id: UUID,
    number: int,
    settings: bytes,
    promote: bool,
    created_by: str | None,
    model: int,
) -> int | None:
    """Insert a READY revision with language, source and module of `model`; None when that one is not READY."""
    inserted: int | None = await _sql.insert_ready_revision(
        connection,
        function_id=function_id,
        number=number,
        settings=settings,
        promote=promote,
        created_by=created_by,
        model=model,
    )
    return inserted


async def get_revision(connection: Connection, *, function_id: UUID, number: int) -> RevisionRow | None:
    """Return a revision, or None when there is none."""
    row = await _sql.get_revision(connection, function_id=function_id, number=number)
    return RevisionRow(**row) if row else None


async def get_revision_status(connection: Connection, *, function_id: UUID, number: int) -> Status | None:
    """Return the status of a revision, or None when there is none. Its source is not read."""
    status: Status | None = await _sql.get_revision_status(connection, function_id=function_id, number=number)
    return status


async def list_revisions(
    connection: Connection, *, function_id: UUID, before: int | None, limit: int, budget: int
) -> list[ListedRevisionRow]:
    """Return up to `limit` revisions below `before`, newest first, with at most about `budget` bytes of sources."""
    rows = _sql.list_revisions(connection, function_id=function_id, before=before, limit=limit, budget=budget)
    return [ListedRevisionRow(**row) async for row in rows]


async def cancel_promotions(connection: Connection, *, function_id: UUID) -> None:
    """Keep every revision that waits for its result from going live by itself."""
    await _sql.cancel_promotions(connection, function_id=function_id)


async def find_waiting(connection: Connection, *, function_id: UUID) -> int | None:
    """Return the number of the newest revision that waits for its result, or None."""
    number: int | None = await _sql.find_waiting(connection, function_id=function_id)
    return number


async def find_language(connection: Connection, *, function_id: UUID, number: int | None) -> Language | None:
    """Return the language of a revision, the newest one for None, or None when there is no such revision."""
    language: Language | None = await _sql.find_language(connection, function_id=function_id, number=number)
    return language


async def mark_compiling(connection: Connection, *, function_id: UUID, number: int) -> int | None:
    """Change PENDING to COMPILING; return the number, or None when nothing changed."""
    changed: int | None = await _sql.mark_compiling(connection, function_id=function_id, number=number)
    return changed


async def mark_ready(
    connection: Connection, *, module_digest: bytes, contract: str, function_id: UUID, number: int
) -> bool | None:
    """Make a waiting revision READY; return whether it is to be promoted, or None when nothing changed."""
    promote: bool | None = await _sql.mark_ready(
        connection, module_digest=module_digest, contract=contract, function_id=function_id, number=number
    )
    return promote


async def mark_failed(connection: Connection, *, compile_error: str, function_id: UUID, number: int) -> int | None:
    """Make a waiting revision FAILED; return the number, or None when nothing changed."""
    changed: int | None = await _sql.mark_failed(
        connection, compile_error=compile_error, function_id=function_id, number=number
    )
    return changed


async def store_module(connection: Connection, *, module_digest: bytes, module: bytes, engine: bytes | None) -> None:
    """Store a module under its SHA-256 digest, unless it is stored already. `engine` is that of an image.

    Raises asyncpg.ForeignKeyViolationError when the engine is not stored.
    """
    await _sql.store_module(connection, module_digest=module_digest, module=module, engine=engine)


async def delete_excess_revisions(connection: Connection, *, function_id: UUID, keep: int) -> list[int]:
    """Remove revisions of a function beyond `keep`; return their numbers."""
    rows = _sql.delete_excess_revisions(connection, function_id=function_id, keep=keep)
    return [row[0] async for row in rows]


async def list_outdated_images(
    connection: Connection, *, engine: bytes, languages: Sequence[str], limit: int
) -> list[OutdatedImageRow]:
    """Return up to `limit` revisions with an image of an older engine than `engine`, the live ones first."""
    rows = _sql.list_outdated_images(connection, engine=engine, languages=languages, limit=limit)
    return [OutdatedImageRow(**row) async for row in rows]


async def get_image_source(connection: Connection, *, function_id: UUID, number: int) -> ImageSourceRow | None:
    """Return what the image of a revision is taken from, or None when the revision is gone."""
    row = await _sql.get_image_source(connection, function_id=function_id, number=number)
    return ImageSourceRow(**row) if row else None


async def replace_image(
    connection: Connection, *, function_id: UUID, number: int, present: bytes, module_digest: bytes
) -> int | None:
    """Give a revision another image than `present`; return the number, or None when it does not have that any more."""
    changed: int | None = await _sql.replace_image(
        connection, function_id=function_id, number=number, present=present, module_digest=module_digest
    )
    return changed


async def record_upgrade_error(
    connection: Connection, *, function_id: UUID, number: int, present: bytes, engine: bytes, error: str
) -> int | None:
    """Record why `engine` cannot take the image of a revision, which keeps `present`; None when nothing changed."""
    changed: int | None = await _sql.record_upgrade_error(
        connection, function_id=function_id, number=number, present=present, engine=engine, error=error
    )
    return changed


async def mark_unreferenced_modules(connection: Connection) -> None:
    """Record since when modules without a revision have had none."""
    await _sql.mark_unreferenced_modules(connection)


async def unmark_referenced_modules(connection: Connection) -> None:
    """Take the mark back from modules that a revision has."""
    await _sql.unmark_referenced_modules(connection)


async def delete_unreferenced_modules(connection: Connection, *, grace_seconds: float, limit: int) -> int:
    """Remove up to `limit` modules that have had no revision for `grace_seconds`; return how many.

    Raises asyncpg.ForeignKeyViolationError, with nothing removed, when one got a revision at the same time.
    """
    count: int = await _sql.delete_unreferenced_modules(connection, grace_seconds=grace_seconds, limit=limit)
    return count
