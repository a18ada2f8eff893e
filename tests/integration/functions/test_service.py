"""Creating and changing functions: the row and its job are one transaction."""

import asyncio
import json
import re
from typing import get_args

import asyncpg
import pytest

from faas.database.pool import Pool
from faas.errors import InvalidRequest, NameTaken
from faas.functions.model import FunctionDraft
from faas.functions.service import FunctionService
from faas.languages import Language

LANGUAGES = get_args(Language)
DRAFT = FunctionDraft(name="echo", language="wat", source="(module)")


async def counts(pool: Pool) -> tuple[int, int]:
    return (
        await pool.fetchval("SELECT count(*) FROM functions"),
        await pool.fetchval("SELECT count(*) FROM pgmq.q_compilation_jobs"),
    )


async def test_function_service_create_sends_a_job(pool: Pool) -> None:
    function = await FunctionService(pool, LANGUAGES).create(DRAFT)
    assert await counts(pool) == (1, 1)
    message = json.loads(await pool.fetchval("SELECT message::text FROM pgmq.q_compilation_jobs"))
    assert message == {"functionId": str(function.id), "revision": 1, "language": "wat", "source": "(module)"}


async def test_function_service_create_without_a_job_creates_nothing(pool: Pool) -> None:
    await pool.execute("DROP FUNCTION pgmq.send(text, jsonb, jsonb)")
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await FunctionService(pool, LANGUAGES).create(DRAFT)
    assert await counts(pool) == (0, 0)


async def test_function_service_concurrent_creates_of_one_name(pool: Pool) -> None:
    functions = FunctionService(pool, LANGUAGES)
    outcomes = await asyncio.gather(*(functions.create(DRAFT) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(outcome, NameTaken) for outcome in outcomes) == 5
    assert await counts(pool) == (1, 1)


async def test_function_service_update_of_metadata_sends_no_job(pool: Pool) -> None:
    functions = FunctionService(pool, LANGUAGES)
    await functions.create(DRAFT)
    same = await functions.update("echo", DRAFT)
    assert (same.revision, await counts(pool)) == (1, (1, 1))
    revised = await functions.update("echo", FunctionDraft(name="echo", language="wat", source="(module )"))
    assert (revised.revision, await counts(pool)) == (2, (1, 2))


async def test_function_service_disabled_language_keeps_its_functions(pool: Pool) -> None:
    await FunctionService(pool, LANGUAGES).create(DRAFT)
    narrower = FunctionService(pool, ["assemblyscript", "wasm"])
    refusal = "language: 'wat' is not enabled on this server (FAAS_LANGUAGES); accepted: assemblyscript, wasm"
    with pytest.raises(InvalidRequest, match=re.escape(refusal)):
        await narrower.create(FunctionDraft(name="new", language="wat", source="(module)"))
    with pytest.raises(InvalidRequest, match=re.escape(refusal)):
        await narrower.update("echo", FunctionDraft(name="echo", language="wat", source="(module )"))
    renamed = await narrower.update("echo", FunctionDraft(name="reply", language="wat", source="(module)"))
    assert (renamed.name, renamed.revision, await counts(pool)) == ("reply", 1, (1, 1))


async def test_functions_table_rejects_inconsistent_states(pool: Pool) -> None:
    await FunctionService(pool, LANGUAGES).create(DRAFT)
    for change in (
        "status = 'READY'",
        "status = 'FAILED'",
        "status = 'DONE'",
        "compile_error = 'x'",
        "wasm_binary = 'x'",
        "status = 'READY', wasm_binary = 'x', compile_error = 'x'",
        "revision = 0",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await pool.execute(f"UPDATE functions SET {change}")
