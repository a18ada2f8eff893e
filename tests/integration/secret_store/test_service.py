"""Setting, listing and deleting secrets on the database."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from faas.caller import OPERATOR
from faas.database.pool import Pool
from faas.errors import InvalidRequest, SecretInUse, SecretKeyUnavailable, SecretNotFound
from faas.secret_store.deploys import check_secrets
from faas.secret_store.key_file import make_key, read_key
from tests.helpers.secret_process import SecretProcess, insert_naming_function
from tests.helpers.support import eventually


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "secret.key"


@pytest.fixture
def secrets(pool: Pool, key_file: Path) -> SecretProcess:
    return SecretProcess.of(pool, key_file)


async def actions(pool: Pool) -> list[tuple[str, str]]:
    rows = await pool.fetch("SELECT action, subject FROM audit ORDER BY id")
    return [(row["action"], row["subject"]) for row in rows]


async def test_set_creates_then_replaces_all_of_it(secrets: SecretProcess, key_file: Path, pool: Pool) -> None:
    caller = msgspec.structs.replace(OPERATOR, token_name="first")
    made = await secrets.service.set(
        caller, "STRIPE_KEY", value="one", hosts=["https://api.stripe.com"], functions=["orders-*"]
    )
    key = read_key(key_file)
    assert key is not None
    assert made.created
    assert (made.secret.hosts, made.secret.functions) == (("https://api.stripe.com",), ("orders-*",))
    assert (made.secret.key_id, made.secret.created_by, made.secret.updated_by) == (key.id, "first", "first")
    assert made.secret.created_at == made.secret.updated_at or made.secret.created_at < made.secret.updated_at
    caller = msgspec.structs.replace(OPERATOR, token_name="second")
    replaced = await secrets.service.set(caller, "STRIPE_KEY", value="two", hosts=None, functions=[])
    assert not replaced.created
    assert (replaced.secret.hosts, replaced.secret.functions) == (None, ())
    assert (replaced.secret.created_by, replaced.secret.updated_by) == ("first", "second")
    assert replaced.secret.created_at == made.secret.created_at
    assert replaced.secret.updated_at > made.secret.updated_at
    assert await secrets.service.get("STRIPE_KEY") == replaced.secret
    assert await actions(pool) == [("secret.set", "STRIPE_KEY")] * 2


async def test_list_pages_by_name(secrets: SecretProcess) -> None:
    for name in ("B", "C", "A"):
        await secrets.set(name)
    first = await secrets.service.list(limit=2)
    rest = await secrets.service.list(limit=2, cursor=first[-1].name)
    assert [secret.name for secret in first + rest] == ["A", "B", "C"]


async def test_delete_removes_it_once(secrets: SecretProcess, pool: Pool) -> None:
    await secrets.set("A")
    await secrets.service.delete(OPERATOR, "A")
    for name in ("A", "no name", "\0"):
        with pytest.raises(SecretNotFound):
            await secrets.service.delete(OPERATOR, name)
        with pytest.raises(SecretNotFound):
            await secrets.service.get(name)
    assert await actions(pool) == [("secret.set", "A"), ("secret.deleted", "A")]


async def test_delete_refuses_what_a_kept_revision_names(secrets: SecretProcess, pool: Pool) -> None:
    await secrets.set("A")
    await secrets.set("B")
    orders = await insert_naming_function(pool, "orders", "B", "A")
    await insert_naming_function(pool, "mail", "A")
    await insert_naming_function(pool, "none")
    with pytest.raises(SecretInUse, match="revision 1 of the function 'mail' names the secret 'A', and 1 more do"):
        await secrets.service.delete(OPERATOR, "A")
    with pytest.raises(SecretInUse, match="revision 1 of the function 'orders' names the secret 'B'; a secret can be"):
        await secrets.service.delete(OPERATOR, "B")
    await pool.execute("DELETE FROM functions WHERE id = $1", orders)
    await secrets.service.delete(OPERATOR, "B")
    assert [secret.name for secret in await secrets.service.list(limit=10)] == ["A"]


async def test_delete_waits_for_a_deploy_that_names_it(secrets: SecretProcess, pool: Pool) -> None:
    await secrets.set("A")
    async with pool.acquire() as deploying:
        transaction = deploying.transaction()
        await transaction.start()
        await check_secrets(deploying, "orders", ["A"])
        deleting = asyncio.create_task(secrets.service.delete(OPERATOR, "A"))

        async def waits() -> bool:
            return bool(
                await pool.fetchval(
                    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                    "AND datname = current_database() AND query LIKE '%FOR UPDATE%')"
                )
            )

        await eventually(waits)
        function_id = await deploying.fetchval(
            "INSERT INTO functions (id, name) VALUES (gen_random_uuid(), 'orders') RETURNING id"
        )
        await deploying.execute(
            "INSERT INTO revisions (function_id, number, language, source, settings) VALUES ($1, 1, 'wat', 'x', $2)",
            function_id,
            b'{"secrets": ["A"]}',
        )
        await transaction.commit()
    with pytest.raises(SecretInUse, match="revision 1 of the function 'orders'"):
        await deleting


async def test_deploy_after_a_deletion_that_it_waited_for_is_refused(secrets: SecretProcess, pool: Pool) -> None:
    await secrets.set("A")
    async with pool.acquire() as deleting, pool.acquire() as deploying:
        transaction = deleting.transaction()
        await transaction.start()
        await deleting.execute("DELETE FROM secrets WHERE name = 'A'")
        checking = asyncio.create_task(check_secrets(deploying, "f", ["A"]))
        await eventually(
            lambda: pool.fetchval(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND datname = current_database() AND query LIKE '%FOR KEY SHARE%')"
            )
        )
        await transaction.commit()
        with pytest.raises(InvalidRequest, match="there is no secret 'A' that admits"):
            await checking


async def test_set_and_delete_at_once_do_not_block_each_other_for_good(secrets: SecretProcess) -> None:
    async def change(number: int) -> None:
        if number % 2:
            await secrets.set("A", f"value {number}")
        else:
            try:
                await secrets.service.delete(OPERATOR, "A")
            except SecretNotFound:
                return

    await asyncio.gather(*(change(number) for number in range(40)))
    await secrets.set("A", "last")
    assert await secrets.value("A") == "last"


async def test_check_secrets_has_one_wording_for_missing_and_not_admitting(secrets: SecretProcess, pool: Pool) -> None:
    await secrets.set("OURS", functions=("orders-*",))
    await secrets.set("THEIRS", functions=("billing",))
    await secrets.set("CLOSED", functions=())
    messages = set()
    async with pool.acquire() as connection, connection.transaction():
        await check_secrets(connection, "orders-1", [])
        await check_secrets(connection, "orders-1", ["OURS", "OURS"])
        for name in ("THEIRS", "CLOSED", "MISSING"):
            with pytest.raises(InvalidRequest) as refused:
                await check_secrets(connection, "orders-1", ["OURS", name])
            assert refused.value.field == "settings.secrets"
            assert f"`faas secret set {name} --function orders-1`" in refused.value.reason
            messages.add(refused.value.reason.replace(name, "NAME"))
        with pytest.raises(InvalidRequest, match="there is no secret 'a b"):
            await check_secrets(connection, "orders-1", ["a b\0"])
    assert len(messages) == 1


# -- the key -----------------------------------------------------------------------------------------------------------


async def test_set_makes_no_key_where_secrets_have_another(pool: Pool, key_file: Path, tmp_path: Path) -> None:
    first = await SecretProcess.of(pool, key_file).set("A")
    other = SecretProcess.of(pool, tmp_path / "other" / "secret.key")
    for name in ("A", "B"):
        with pytest.raises(SecretKeyUnavailable, match=f"sealed under the key {first.key_id}, which this server does"):
            await other.set(name)
    assert not (tmp_path / "other").exists()
    assert await pool.fetchval("SELECT count(*) FROM secrets WHERE key_id = $1", first.key_id) == 1


async def test_set_of_two_processes_without_a_key_makes_one_key(pool: Pool, tmp_path: Path) -> None:
    """Each has a file of its own: one of them seals, and the other one is refused."""
    processes = [SecretProcess.of(pool, tmp_path / str(number) / "secret.key") for number in range(5)]
    outcomes = await asyncio.gather(
        *(process.set(f"S{number}") for number, process in enumerate(processes)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Secret"] + ["SecretKeyUnavailable"] * 4
    assert len(list(tmp_path.glob("*/secret.key"))) == 1
    assert await pool.fetchval("SELECT count(*) FROM secrets") == 1


async def test_set_with_another_key_replaces_only_what_it_does_not_open(
    pool: Pool, key_file: Path, tmp_path: Path
) -> None:
    """A lost key: its secrets are set again, one after the other, under a key that an operator made."""
    before = SecretProcess.of(pool, key_file)
    for name in ("A", "B"):
        await before.set(name)
    new_key = make_key(tmp_path / "new.key")
    after = SecretProcess.of(pool, tmp_path / "new.key")
    with pytest.raises(SecretKeyUnavailable, match=f"has the key {new_key.id}, and there are secrets sealed under"):
        await after.set("C")
    assert (await after.set("A", "again")).key_id == new_key.id
    with pytest.raises(SecretKeyUnavailable, match="or set those secrets again first"):
        await after.set("A")
    await after.set("B", "again too")
    await after.set("C")
    assert await after.value("A") == "again"


async def test_set_with_a_key_file_that_others_may_read_is_refused(secrets: SecretProcess, key_file: Path) -> None:
    await secrets.set("A")
    key_file.chmod(0o644)
    with pytest.raises(SecretKeyUnavailable, match="has the mode 0644"):
        await secrets.set("A")
    assert os.stat(key_file).st_size == 32  # noqa: PTH116


async def test_set_makes_a_key_again_where_no_secret_is_left(secrets: SecretProcess, key_file: Path) -> None:
    first = await secrets.set("A")
    await secrets.service.delete(OPERATOR, "A")
    key_file.unlink()
    second = await secrets.set("A", "new")
    assert second.key_id != first.key_id
    assert await secrets.value("A") == "new"
