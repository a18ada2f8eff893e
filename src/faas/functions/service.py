"""Creating, changing, finding and deleting functions (flows 1 and 2, on the client's side)."""

from collections.abc import Collection
from uuid import UUID

import asyncpg
import structlog
from uuid_utils.compat import uuid7

from faas.database.pool import Connection, Pool, acquire
from faas.errors import FunctionNotFound, NameTaken
from faas.function_ref import FunctionRef
from faas.functions import queries
from faas.functions.model import Function, FunctionDraft, FunctionSummary
from faas.functions.validation import check_draft, check_language
from faas.languages import Language
from faas.queue import messages, pgmq

log = structlog.get_logger()


class FunctionService:
    """The functions in the database of `pool`; new ones must be in `languages`. A `reference` is an id or a name."""

    def __init__(self, pool: Pool, languages: Collection[Language]) -> None:
        self._pool = pool
        self._languages = languages

    async def create(self, draft: FunctionDraft) -> Function:
        """Create a function, PENDING, and send its compilation job, in one transaction.

        Raises InvalidRequest, NameTaken.
        """
        check_draft(draft)
        check_language(draft, self._languages)
        async with acquire(self._pool) as connection, connection.transaction():
            try:
                function = await queries.insert_function(
                    connection,
                    function_id=uuid7(),
                    name=draft.name,
                    description=draft.description,
                    language=draft.language,
                    source=draft.source,
                )
            except asyncpg.UniqueViolationError:
                raise NameTaken(draft.name) from None
            await _send_job(connection, function)
        log.info(
            "function.created",
            function_id=str(function.id),
            revision=function.revision,
            name=function.name,
            language=function.language,
        )
        return function

    async def get(self, reference: str) -> Function:
        """Return a function. Raises FunctionNotFound."""
        async with acquire(self._pool) as connection:
            return await _find(connection, reference)

    async def list(
        self, *, limit: int, cursor: UUID | None = None, status: str | None = None, language: str | None = None
    ) -> list[FunctionSummary]:
        """Return up to `limit` functions, newest first, created before `cursor` where given."""
        async with acquire(self._pool) as connection:
            return await queries.list_functions(
                connection, limit=limit, cursor=cursor, status=status, language=language
            )

    async def update(self, reference: str, draft: FunctionDraft) -> Function:
        """Replace all fields that a client can set. Another source or language starts a new revision, PENDING.

        Raises FunctionNotFound, InvalidRequest, NameTaken.
        """
        check_draft(draft)
        async with acquire(self._pool) as connection, connection.transaction():
            found = await _find(connection, reference)
            before = await queries.lock_function(connection, function_id=found.id)
            if before is None:
                raise FunctionNotFound(reference)
            revised = (draft.source, draft.language) != (before.source, before.language)
            if revised:  # a disabled language keeps its functions, which may be renamed but not revised
                check_language(draft, self._languages)
            try:
                if revised:
                    function = await _start_revision(connection, before.id, draft)
                else:
                    function = await queries.update_metadata(
                        connection, function_id=before.id, name=draft.name, description=draft.description
                    )
            except asyncpg.UniqueViolationError:
                raise NameTaken(draft.name) from None
            if function is None:
                raise FunctionNotFound(reference)
            if revised:
                await _send_job(connection, function)
        log.info("function.updated", function_id=str(function.id), revision=function.revision, revised=revised)
        return function

    async def delete(self, reference: str) -> None:
        """Delete a function, its module and its executions. Raises FunctionNotFound."""
        async with acquire(self._pool) as connection:
            function = await _find(connection, reference)
            if await queries.delete_function(connection, function_id=function.id) is None:
                raise FunctionNotFound(reference)
        log.info("function.deleted", function_id=str(function.id), name=function.name)


async def _find(connection: Connection, reference: str) -> Function:
    function_ref = FunctionRef.parse(reference)
    if function_ref.id:
        function = await queries.get_function(connection, function_id=function_ref.id)
    else:
        assert function_ref.name is not None
        function = await queries.get_function_by_name(connection, name=function_ref.name)
    if function is None:
        raise FunctionNotFound(reference)
    return function


async def _start_revision(connection: Connection, function_id: UUID, draft: FunctionDraft) -> Function | None:
    return await queries.start_revision(
        connection,
        function_id=function_id,
        name=draft.name,
        description=draft.description,
        language=draft.language,
        source=draft.source,
    )


async def _send_job(connection: Connection, function: Function) -> None:
    job = messages.CompilationJob(
        function_id=function.id, revision=function.revision, language=function.language, source=function.source
    )
    await pgmq.send(connection, messages.COMPILATION_JOBS, messages.encode(job))
