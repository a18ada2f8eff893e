"""Creating and changing functions: the row and its job are one transaction."""

import asyncio
import json
import re
from typing import get_args

import asyncpg
import msgspec
import pytest

from faas.caller import ANYONE, Caller
from faas.database.pool import Pool
from faas.errors import FunctionNotFound, InvalidRequest, NameTaken
from faas.function_patterns import parse_patterns
from faas.function_ref import FunctionRef
from faas.functions.model import FunctionDraft
from faas.functions.service import FunctionRules, FunctionService
from faas.languages import Language
from tests.helpers.support import eventually

RULES = FunctionRules(languages=get_args(Language), max_time=10, max_memory=128 << 20, keep_revisions=20)
ECHO = FunctionRef.by_name("echo")
WAITS_FOR_A_LOCK = """
    SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
DRAFT = FunctionDraft(name="echo", language="wat", source="(module)")


async def counts(pool: Pool) -> tuple[int, int]:
    return (
        await pool.fetchval("SELECT count(*) FROM functions"),
        await pool.fetchval("SELECT count(*) FROM pgmq.q_compilation_jobs"),
    )


async def test_function_service_create_sends_a_job(pool: Pool) -> None:
    function = await FunctionService(pool, RULES).create(ANYONE, DRAFT)
    assert await counts(pool) == (1, 1)
    message = json.loads(await pool.fetchval("SELECT message::text FROM pgmq.q_compilation_jobs"))
    assert message == {"functionId": str(function.id), "revision": 1, "language": "wat", "source": "(module)"}


async def test_function_service_create_without_a_job_creates_nothing(pool: Pool) -> None:
    await pool.execute("DROP FUNCTION pgmq.send(text, jsonb, jsonb)")
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await FunctionService(pool, RULES).create(ANYONE, DRAFT)
    assert await counts(pool) == (0, 0)


async def test_function_service_concurrent_creates_of_one_name(pool: Pool) -> None:
    functions = FunctionService(pool, RULES)
    outcomes = await asyncio.gather(*(functions.create(ANYONE, DRAFT) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(outcome, NameTaken) for outcome in outcomes) == 5
    assert await counts(pool) == (1, 1)


async def test_function_service_update_of_metadata_sends_no_job(pool: Pool) -> None:
    functions = FunctionService(pool, RULES)
    await functions.create(ANYONE, DRAFT)
    same = await functions.update(ANYONE, ECHO, DRAFT)
    assert (same.revision, await counts(pool)) == (1, (1, 1))
    revised = await functions.update(ANYONE, ECHO, FunctionDraft(name="echo", language="wat", source="(module )"))
    assert (revised.revision, await counts(pool)) == (2, (1, 2))


async def test_function_service_update_that_waits_for_a_rename_does_not_find_the_old_name(pool: Pool) -> None:
    """The lock is taken by name: what has another name by then is not the function that is meant."""
    service = FunctionService(pool, RULES)
    await service.create(ANYONE, DRAFT)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE functions SET name = 'other'")
        waiting = asyncio.create_task(service.update(ANYONE, ECHO, DRAFT))
        blocked = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        await eventually(lambda: pool.fetchval(blocked), lambda count: bool(count == 1))
    with pytest.raises(FunctionNotFound):
        await waiting


async def test_function_service_update_by_id_that_waits_for_a_rename_obeys_the_callers_patterns(pool: Pool) -> None:
    service = FunctionService(pool, RULES)
    by_id = FunctionRef.by_id((await service.create(ANYONE, DRAFT)).id)
    caller = Caller(scopes=frozenset({"deploy"}), functions=parse_patterns(["echo"], "functions"))
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE functions SET name = 'other'")
        waiting = asyncio.create_task(service.update(caller, by_id, DRAFT))
        await eventually(lambda: pool.fetchval(WAITS_FOR_A_LOCK))
    with pytest.raises(FunctionNotFound):
        await waiting


async def test_function_service_disabled_language_keeps_its_functions(pool: Pool) -> None:
    await FunctionService(pool, RULES).create(ANYONE, DRAFT)
    narrower = FunctionService(pool, msgspec.structs.replace(RULES, languages=["assemblyscript", "wasm"]))
    refusal = "language: 'wat' is not enabled on this server (FAAS_LANGUAGES); accepted: assemblyscript, wasm"
    with pytest.raises(InvalidRequest, match=re.escape(refusal)):
        await narrower.create(ANYONE, FunctionDraft(name="new", language="wat", source="(module)"))
    with pytest.raises(InvalidRequest, match=re.escape(refusal)):
        await narrower.update(ANYONE, ECHO, FunctionDraft(name="echo", language="wat", source="(module )"))
    renamed = await narrower.update(ANYONE, ECHO, FunctionDraft(name="reply", language="wat", source="(module)"))
    assert (renamed.name, renamed.revision, await counts(pool)) == ("reply", 1, (1, 1))
