"""Creating, changing, finding and deleting functions (flows 1 and 2, on the client's side)."""

from collections.abc import Collection
from uuid import UUID

import asyncpg
import msgspec
import structlog
from uuid_utils.compat import uuid7

from faas import audit
from faas.caller import Caller
from faas.database.pool import Connection, Pool, acquire
from faas.errors import NameTaken
from faas.function_ref import FunctionRef
from faas.function_settings import decode_settings, encode_settings
from faas.functions import live, lookup, queries
from faas.functions.model import WAITING, Function, FunctionDraft, FunctionSummary
from faas.functions.queries import LockedFunctionRow, RevisionRow
from faas.functions.validation import check_draft, check_language
from faas.languages import ENGINE_LANGUAGES, Language
from faas.queue import messages, pgmq
from faas.secret_store.deploys import check_secrets

log = structlog.get_logger()


class FunctionRules(msgspec.Struct, frozen=True, kw_only=True):
    """What this server accepts of functions, and how many revisions it keeps of each."""

    languages: Collection[Language]
    max_time: float
    max_memory: int
    keep_revisions: int


class FunctionService:
    """The functions in the database of `pool`, under `rules`."""

    def __init__(self, pool: Pool, rules: FunctionRules) -> None:
        self._pool = pool
        self._rules = rules

    async def create(self, caller: Caller, draft: FunctionDraft) -> Function:
        """Create a function with its first revision, PENDING, and send its compilation job, in one transaction.

        Raises InvalidRequest, NotAllowed, NameTaken.
        """
        self._check(draft)
        caller.check_name(draft.name)
        check_language(draft, self._rules.languages)
        function_id = uuid7()
        async with acquire(self._pool) as connection, connection.transaction():
            try:
                await queries.insert_function(
                    connection, function_id=function_id, name=draft.name, description=draft.description
                )
            except asyncpg.UniqueViolationError:
                raise NameTaken(draft.name) from None
            await check_secrets(connection, draft.name, draft.settings.secrets)
            await _insert_revision(connection, caller, function_id, 1, draft)
            await audit.record(connection, caller, "function.created", draft.name, function_id=function_id, revision=1)
            function = await lookup.find_function(connection, caller, FunctionRef.by_id(function_id))
        log.info("function.created", function_id=str(function_id), revision=1, name=draft.name, language=draft.language)
        return function

    async def get(self, caller: Caller, function_ref: FunctionRef) -> Function:
        """Return a function as its live revision shows it, or the revision of the reference.

        Raises FunctionNotFound, RevisionNotFound.
        """
        async with acquire(self._pool) as connection:
            return await lookup.find_function(connection, caller, function_ref)

    async def list(
        self,
        caller: Caller,
        *,
        limit: int,
        cursor: UUID | None = None,
        status: str | None = None,
        language: str | None = None,
    ) -> list[FunctionSummary]:
        """Return up to `limit` functions that the caller may reach, newest first, created before `cursor` if given."""
        async with acquire(self._pool) as connection:
            rows = await queries.list_functions(
                connection, limit=limit, cursor=cursor, status=status, language=language, like=caller.like
            )
        return [lookup.to_summary(row) for row in rows]

    async def update(self, caller: Caller, function_ref: FunctionRef, draft: FunctionDraft) -> Function:
        """Replace all fields that a client can set. Other source, language or settings make a new revision.

        The live revision serves until the new one is READY. Raises FunctionNotFound, InvalidRequest, NotAllowed,
        NameTaken.
        """
        self._check(draft)
        async with acquire(self._pool) as connection, connection.transaction():
            function = await lookup.lock(connection, caller, function_ref)
            caller.check_name(draft.name)
            described = (function.name, function.description) == (draft.name, draft.description)
            if not described:
                await _update_metadata(connection, function, draft)
            await check_secrets(connection, draft.name, draft.settings.secrets)
            newest = await queries.get_revision(connection, function_id=function.id, number=function.newest_revision)
            revised = newest is None or not _is_deployed(newest, draft)
            if revised:
                await self._deploy(connection, caller, function, newest, draft)
            elif described:
                await queries.touch_function(connection, function_id=function.id)
            updated = await lookup.find_function(connection, caller, FunctionRef.by_id(function.id))
            await _record_update(connection, caller, function, updated, revised=revised)
        log.info("function.updated", function_id=str(function.id), revision=updated.latest.revision, revised=revised)
        return updated

    async def delete(self, caller: Caller, function_ref: FunctionRef) -> None:
        """Delete a function and its revisions; its executions are not found from then on. Raises FunctionNotFound."""
        async with acquire(self._pool) as connection, connection.transaction():
            function = await lookup.lock(connection, caller, function_ref)
            await queries.delete_function(connection, function_id=function.id)
            await audit.record(connection, caller, "function.deleted", function.name, function_id=function.id)
        log.info("function.deleted", function_id=str(function.id))

    def _check(self, draft: FunctionDraft) -> None:
        check_draft(draft, max_time=self._rules.max_time, max_memory=self._rules.max_memory)

    async def _deploy(
        self,
        connection: Connection,
        caller: Caller,
        function: LockedFunctionRow,
        newest: RevisionRow | None,
        draft: FunctionDraft,
    ) -> None:
        """Insert the next revision: READY with the module of an equal source, else PENDING with its job."""
        model = await _find_model(connection, function, newest, draft)
        if model is None:  # a disabled language keeps its functions, whose names and settings may change
            check_language(draft, self._rules.languages)
        number = await queries.advance_newest(connection, function_id=function.id)
        if model is None:
            await _insert_revision(connection, caller, function.id, number, draft)
        else:
            await queries.insert_ready_revision(
                connection,
                function_id=function.id,
                number=number,
                settings=encode_settings(draft.settings),
                promote=draft.promote,
                created_by=caller.token_name,
                model=model,
            )
            if await live.goes_live(connection, function, number, promote=draft.promote):
                await live.make_live(connection, function, number)
        removed = await queries.delete_excess_revisions(
            connection, function_id=function.id, keep=self._rules.keep_revisions
        )
        if removed:
            log.info("revisions.removed", function_id=str(function.id), revisions=removed)


async def _update_metadata(connection: Connection, function: LockedFunctionRow, draft: FunctionDraft) -> None:
    try:
        await queries.update_metadata(
            connection, function_id=function.id, name=draft.name, description=draft.description
        )
    except asyncpg.UniqueViolationError:
        raise NameTaken(draft.name) from None


def _is_deployed(newest: RevisionRow, draft: FunctionDraft) -> bool:
    """Return whether deploying `draft` would repeat the newest revision, which is live or will be."""
    waits_for_promotion = newest.status in WAITING and newest.promote and draft.promote
    return (newest.live or waits_for_promotion) and (
        (newest.language, newest.source, newest.settings)
        == (draft.language, draft.source, encode_settings(draft.settings))
    )


async def _find_model(
    connection: Connection, function: LockedFunctionRow, newest: RevisionRow | None, draft: FunctionDraft
) -> int | None:
    """Return the newest or the live revision if it is READY and has the source of `draft`, else None."""
    candidates = [newest]
    if function.live_revision is not None and not (newest and newest.live):
        candidates.append(
            await queries.get_revision(connection, function_id=function.id, number=function.live_revision)
        )
    for candidate in candidates:
        if candidate is None or candidate.status != "READY":
            continue
        if (candidate.language, candidate.source) == (draft.language, draft.source) and not _is_other_image(
            candidate, draft
        ):
            return candidate.revision
    return None


def _is_other_image(candidate: RevisionRow, draft: FunctionDraft) -> bool:
    """Return whether code at top level, which has been evaluated into an image, would see another environment."""
    settings = decode_settings(candidate.settings)
    return draft.language in ENGINE_LANGUAGES and (
        settings.env != draft.settings.env or set(settings.secrets) != set(draft.settings.secrets)
    )


async def _record_update(
    connection: Connection, caller: Caller, before: LockedFunctionRow, after: Function, *, revised: bool
) -> None:
    if (before.name, before.description) != (after.name, after.description):
        await audit.record(connection, caller, "function.updated", after.name, function_id=after.id)
    if revised:
        await audit.record(
            connection,
            caller,
            "function.deployed",
            after.name,
            function_id=after.id,
            revision=after.latest.revision,
        )


async def _insert_revision(
    connection: Connection, caller: Caller, function_id: UUID, number: int, draft: FunctionDraft
) -> None:
    """Insert a revision, PENDING, and send its compilation job."""
    await queries.insert_revision(
        connection,
        function_id=function_id,
        number=number,
        language=draft.language,
        source=draft.source,
        settings=encode_settings(draft.settings),
        promote=draft.promote,
        created_by=caller.token_name,
    )
    job = messages.CompilationJob(
        function_id=function_id,
        revision=number,
        language=draft.language,
        source=draft.source,
        env=draft.settings.env,
        secrets=draft.settings.secrets,
    )
    await pgmq.send(connection, messages.COMPILATION_JOBS, messages.encode(job))
