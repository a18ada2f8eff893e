"""Registering, changing, finding and deleting functions (Flows 1 and 2, the client's side)."""

from collections.abc import Collection
from uuid import UUID

import asyncpg
import msgspec
import structlog
from uuid_utils.compat import uuid7

from faas.database import queries
from faas.database.pool import Connection, Pool, acquire
from faas.errors import FunctionNotFound, NameTaken
from faas.function_ref import FunctionRef
from faas.functions.model import Function, FunctionDraft, FunctionSummary
from faas.functions.validation import check_draft, check_language
from faas.languages import Language
from faas.queue import messages
from faas.queue import pgmq as queue

log = structlog.get_logger()
_sql = queries.load("functions")


class Functions:
    """The functions in the database behind `pool`, new ones in `languages`. A `reference` is an id or a name."""

    def __init__(self, pool: Pool, languages: Collection[Language]) -> None:
        self._pool = pool
        self._languages = languages

    async def register(self, draft: FunctionDraft) -> Function:
        """A new function, PENDING, and its compilation job: both or neither. Raises NameTaken, InvalidRequest."""
        check_draft(draft)
        check_language(draft, self._languages)
        async with acquire(self._pool) as connection, connection.transaction():
            try:
                row = await _sql.insert_function(connection, id=uuid7(), **msgspec.structs.asdict(draft))
            except asyncpg.UniqueViolationError:
                raise NameTaken(draft.name) from None
            function = Function(**row)
            await _send_job(connection, function)
        log.info(
            "function.registered",
            function_id=str(function.id),
            revision=function.revision,
            name=function.name,
            language=function.language,
        )
        return function

    async def get(self, reference: str) -> Function:
        """Raises FunctionNotFound."""
        async with acquire(self._pool) as connection:
            return await _find(connection, reference)

    async def list(
        self, *, limit: int, cursor: UUID | None = None, status: str | None = None, language: str | None = None
    ) -> list[FunctionSummary]:
        """Up to `limit` functions, newest first, those made before `cursor` when it is given."""
        async with acquire(self._pool) as connection:
            rows = _sql.list_functions(connection, limit=limit, cursor=cursor, status=status, language=language)
            return [FunctionSummary(**row) async for row in rows]

    async def update(self, reference: str, draft: FunctionDraft) -> Function:
        """Replace what a client may say of a function. Another source or language starts a new revision, PENDING."""
        check_draft(draft)
        async with acquire(self._pool) as connection, connection.transaction():
            found = await _find(connection, reference)
            row = await _sql.lock_function(connection, id=found.id)
            if row is None:
                raise FunctionNotFound(reference)
            before = Function(**row)
            revised = (draft.source, draft.language) != (before.source, before.language)
            if revised:  # what is there already goes on, and may be renamed
                check_language(draft, self._languages)
            try:
                if revised:
                    row = await _sql.revise_function(connection, id=before.id, **msgspec.structs.asdict(draft))
                else:
                    row = await _sql.describe_function(
                        connection, id=before.id, name=draft.name, description=draft.description
                    )
            except asyncpg.UniqueViolationError:
                raise NameTaken(draft.name) from None
            function = Function(**row)
            if revised:
                await _send_job(connection, function)
        log.info("function.updated", function_id=str(function.id), revision=function.revision, revised=revised)
        return function

    async def delete(self, reference: str) -> None:
        """Delete a function, its module and its executions. Raises FunctionNotFound."""
        async with acquire(self._pool) as connection:
            function = await _find(connection, reference)
            if await _sql.delete_function(connection, id=function.id) is None:
                raise FunctionNotFound(reference)
        log.info("function.deleted", function_id=str(function.id), name=function.name)


async def _find(connection: Connection, reference: str) -> Function:
    function_ref = FunctionRef.parse(reference)
    if function_ref.id:
        row = await _sql.get_function(connection, id=function_ref.id)
    else:
        row = await _sql.get_function_by_name(connection, name=function_ref.name)
    if row is None:
        raise FunctionNotFound(reference)
    return Function(**row)


async def _send_job(connection: Connection, function: Function) -> None:
    job = messages.CompilationJob(
        function_id=function.id, revision=function.revision, language=function.language, source=function.source
    )
    await queue.send(connection, messages.COMPILATION_JOBS, messages.encode(job))
