"""What the database itself refuses, so that no fault of a program can break the invariants of revisions."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import pytest

from faas.database.pool import Pool
from tests.helpers.executions import insert_function

INSERT_FUNCTION = "INSERT INTO functions (id, name, newest_revision) VALUES ('{id}', '{id}', 1)"
READY = (
    "INSERT INTO revisions (function_id, number, language, source, status, module_digest, contract) "
    "VALUES ('{id}', {number}, 'wat', 'x', 'READY', sha256('f'), 'json')"
)
WAITING = "INSERT INTO revisions (function_id, number, language, source) VALUES ('{id}', {number}, 'wat', 'x')"
FAILED = (
    "INSERT INTO revisions (function_id, number, language, source, status, compile_error) "
    "VALUES ('{id}', {number}, 'wat', 'x', 'FAILED', 'no')"
)
SECOND = "UPDATE functions SET newest_revision = 2 WHERE id = '{id}'"

# Two engines of JavaScript and one of Python, and an image of each.
ENGINES = (
    "INSERT INTO modules (digest, wasm) VALUES (sha256('js1'), 'js1'), (sha256('js2'), 'js2'), (sha256('py3'), 'py3')",
    (
        "INSERT INTO engines (digest, name, number) "
        "VALUES (sha256('js1'), 'javascript', 1), (sha256('js2'), 'javascript', 2), (sha256('py3'), 'python', 3)"
    ),
    (
        "INSERT INTO modules (digest, wasm, engine) VALUES (sha256('of js1'), 'of js1', sha256('js1')), "
        "(sha256('of js2'), 'of js2', sha256('js2')), (sha256('of py3'), 'of py3', sha256('py3'))"
    ),
)


def with_image(image: str, number: int = 2) -> Sequence[str]:
    """Return the statements that make the next revision, READY with an image."""
    ready = READY.format(id="{id}", number=number).replace("sha256('f')", f"sha256('{image}')")
    return (*ENGINES, SECOND.replace("= 2", f"= {number}"), ready)


def replaced(image: str, more: str = "", number: int = 2) -> str:
    """Return the statement that gives a revision another image."""
    return f"UPDATE revisions SET module_digest = sha256('{image}') {more} WHERE number = {number}"


# Statements of one transaction on a function whose revision 1 is READY and live, and the constraint that refuses them.
REFUSED: dict[str, tuple[Sequence[str], str]] = {
    "live without a revision": (["UPDATE functions SET live_revision = 7"], "live_revision_is_not_ahead"),
    "live revision of another function": (
        ["UPDATE functions SET newest_revision = 9", "UPDATE functions SET live_revision = 7"],
        "live_revision_is_ready|newest_revision_exists",
    ),
    "waiting revision live": (
        [WAITING.format(id="{id}", number=2), SECOND, "UPDATE functions SET live_revision = 2"],
        "live_revision_is_ready",
    ),
    "failed revision live": (
        [FAILED.format(id="{id}", number=2), SECOND, "UPDATE functions SET live_revision = 2"],
        "live_revision_is_ready",
    ),
    "live revision is removed": (
        [READY.format(id="{id}", number=2), SECOND, "DELETE FROM revisions WHERE number = 1"],
        "live_revision_is_ready",
    ),
    "newest revision is removed": (
        [READY.format(id="{id}", number=2), SECOND, "DELETE FROM revisions WHERE number = 2"],
        "newest_revision_exists",
    ),
    "newest revision is not kept": ([SECOND], "newest_revision_exists"),
    "numbers go back": (
        [READY.format(id="{id}", number=2), SECOND, "UPDATE functions SET newest_revision = 1"],
        "the numbers of revisions only increase: 1 is not above 2",
    ),
    "number is used twice": ([READY.format(id="{id}", number=1)], "revisions_pkey"),
    "number zero": ([READY.format(id="{id}", number=0)], "revisions_number_check"),
    "module of a READY revision is removed": (["DELETE FROM modules"], "revisions_module_digest_fkey"),
    "READY without a module": (
        [("INSERT INTO revisions (function_id, number, language, source, status, contract) "
         "VALUES ('{id}', 2, 'wat', 'x', 'READY', 'json')")],
        "ready_has_a_module",
    ),
    "READY without a contract": (
        [("INSERT INTO revisions (function_id, number, language, source, status, module_digest) "
         "VALUES ('{id}', 2, 'wat', 'x', 'READY', sha256('f'))")],
        "ready_has_a_module",
    ),
    "READY with a module that is not stored": (
        [READY.format(id="{id}", number=2).replace("sha256('f')", "sha256('other')")], "revisions_module_digest_fkey"
    ),
    "FAILED without an error": (
        ["INSERT INTO revisions (function_id, number, language, source, status) VALUES ('{id}', 2, 'wat', '', 'FAILED')"],
        "failed_has_an_error",
    ),
    "FAILED with a module": ([FAILED.format(id="{id}", number=2).replace("compile_error)", "compile_error, module_digest)")
                              .replace("'no')", "'no', sha256('f'))")], "failed_has_an_error"),
    "waiting with a module": (
        [WAITING.format(id="{id}", number=2).replace("source)", "source, module_digest)").replace(
            "'x')", "'x', sha256('f'))")],
        "waiting_has_neither",
    ),
    "module under another digest": (["INSERT INTO modules (digest, wasm) VALUES (sha256('a'), 'b')"], "digest_is_sha256"),
    "content of a module": (["UPDATE modules SET wasm = 'other'"], "digest_is_sha256"),
    "READY becomes FAILED": (
        ["UPDATE revisions SET status = 'FAILED', module_digest = NULL, contract = NULL, compile_error = 'late'"],
        "revision 1 of function {id} cannot change: it is READY",
    ),
    "READY becomes PENDING": (
        ["UPDATE revisions SET status = 'PENDING', module_digest = NULL, contract = NULL"], "cannot change: it is READY"
    ),
    "READY gets another module": (
        ["INSERT INTO modules (digest, wasm) VALUES (sha256('g'), 'g')", "UPDATE revisions SET module_digest = sha256('g')"],
        "cannot change: it is READY",
    ),
    "image of an older engine": ([*with_image("of js2"), replaced("of js1")], "cannot change: it is READY"),
    "image of the engine of another language": ([*with_image("of js1"), replaced("of py3")], "cannot change: it is READY"),
    "image is replaced by a module without engine": (
        [*with_image("of js1"), replaced("f")], "cannot change: it is READY"
    ),
    "module without engine is replaced by an image": (
        [*with_image("of js1"), replaced("of js2", number=1)], "cannot change: it is READY"
    ),
    "image with another contract": (
        [*with_image("of js1"), replaced("of js2", ", contract = 'lambda'")], "cannot change: it is READY"
    ),
    "image of a revision that becomes FAILED": (
        [*with_image("of js1"), replaced("of js2", ", status = 'FAILED', compile_error = 'no'")],
        "cannot change: it is READY",
    ),
    "engine of an image is removed": (
        [*with_image("of js1"), "DELETE FROM modules WHERE wasm = 'js2'"], "modules_engine_fkey"
    ),
    "image of an engine that is not stored": (
        [*ENGINES, "INSERT INTO engines (digest, name, number) VALUES (sha256('js4'), 'javascript', 4)",
         "INSERT INTO modules (digest, wasm, engine) VALUES (sha256('x'), 'x', sha256('js4'))"],
        "modules_engine_fkey",
    ),
    "image of a module that is no engine": (
        ["INSERT INTO modules (digest, wasm, engine) VALUES (sha256('x'), 'x', sha256('f'))"], "engine_is_known"
    ),
    "two engines with one number": (
        [*ENGINES, "INSERT INTO engines (digest, name, number) VALUES (sha256('x'), 'javascript', 2)"],
        "engines_number_key",
    ),
    "failed upgrade without an engine": (
        [*with_image("of js1"), "UPDATE revisions SET upgrade_error = 'no' WHERE number = 2"], "upgrade_failed_completely"
    ),
    "FAILED gets another error": (
        [FAILED.format(id="{id}", number=2), SECOND, "UPDATE revisions SET compile_error = 'other' WHERE number = 2"],
        "cannot change: it is FAILED",
    ),
    "revision without a function": ([READY.format(id=UUID(int=1), number=1)], "revisions_function_id_fkey"),
    "function without a revision": ([INSERT_FUNCTION.format(id=UUID(int=2))], "newest_revision_exists"),
    **{
        f"{column} of a waiting revision": (
            [WAITING.format(id="{id}", number=2), SECOND, f"UPDATE revisions SET {column} = {value} WHERE number = 2"],
            "revision 2 of function {id} cannot change: its content is fixed",
        )
        for column, value in {
            "number": "3",
            "language": "'wasm'",
            "source": "'y'",
            "settings": "'{{\"limits\":{{}}}}'",
            "created_by": "'me'",
            "created_at": "now()",
            "function_id": f"'{UUID(int=3)}'",
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("violation", REFUSED)
async def test_revision_constraints_refuse(pool: Pool, violation: str) -> None:
    function_id = await insert_function(pool, "f")
    statements, constraint = REFUSED[violation]
    before = await rows(pool)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=constraint.format(id=function_id)):
        await execute(pool, *(statement.format(id=function_id) for statement in statements))
    assert await rows(pool) == before


async def test_revision_constraints_accept_what_the_services_do(pool: Pool) -> None:
    """The reverse of the refusals: a second revision that waits, is READY, and goes live; and the deletion of all."""
    function_id = await insert_function(pool, "f")
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute(SECOND.format(id=function_id))
            await connection.execute(WAITING.format(id=function_id, number=2))
        async with connection.transaction():
            await connection.execute(
                "UPDATE revisions SET status = 'READY', module_digest = sha256('f'), contract = 'json' WHERE number = 2"
            )
            await connection.execute("UPDATE functions SET live_revision = 2, previous_revisions = '{1}'")
        await connection.execute("DELETE FROM revisions WHERE number = 1")
        async with connection.transaction():
            for statement in with_image("of js1"):
                await connection.execute(
                    statement.format(id=function_id).replace("= 2", "= 3").replace(", 2, ", ", 3, ")
                )
        await connection.execute(replaced("of js2", number=3))
        await connection.execute("DELETE FROM functions")
        await connection.execute("DELETE FROM modules")
    assert await rows(pool) == [[], [], []]


async def execute(pool: Pool, *statements: str) -> None:
    """Execute the statements in one transaction."""
    async with pool.acquire() as connection, connection.transaction():
        for statement in statements:
            await connection.execute(statement)


async def rows(pool: Pool) -> list[list[str]]:
    return [
        [row[0] for row in await pool.fetch(f"SELECT t::text FROM {table} AS t ORDER BY 1")]
        for table in ("functions", "revisions", "modules")
    ]
