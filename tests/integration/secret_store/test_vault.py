"""The vault: what executions get of secrets, and how soon they get changes."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import structlog

from faas.caller import OPERATOR
from faas.database.pool import Connection, Pool, open_pool
from faas.errors import DatabaseUnavailable, SecretUnavailable
from faas.secret_store import queries
from faas.secret_store import vault as vault_module
from faas.secret_store.model import ResolvedSecret
from faas.secret_store.queries import SealedRow
from faas.secret_store.state import describe_state
from tests.helpers.secret_process import SecretProcess
from tests.helpers.support import eventually


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "secret.key"


@pytest.fixture
def secrets(pool: Pool, key_file: Path) -> SecretProcess:
    return SecretProcess.of(pool, key_file)


async def state(pool: Pool, process: SecretProcess) -> str:
    async with pool.acquire() as connection:
        return await describe_state(connection, process.keyring)


async def test_resolve_gives_values_and_hosts(secrets: SecretProcess) -> None:
    await secrets.set("A", "one")
    await secrets.set("B", "two", hosts=["https://b.example", "http://127.0.0.1:9000"])
    assert await secrets.vault.resolve("f", []) == {}
    assert await secrets.vault.resolve("f", ["B", "A", "B"]) == {
        "A": ResolvedSecret("one", ()),
        "B": ResolvedSecret("two", ("https://b.example", "http://127.0.0.1:9000")),
    }


async def test_resolve_has_a_change_of_this_process_at_once(
    secrets: SecretProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault_module, "KEEP_SECONDS", 3600.0)
    for number in range(20):
        await secrets.set("A", f"value {number}")
        assert await secrets.value("A") == f"value {number}"
    await secrets.service.delete(OPERATOR, "A")
    with pytest.raises(SecretUnavailable, match="the secret 'A' is not available: it was deleted"):
        await secrets.value("A")


async def test_resolve_has_a_change_of_another_process_within_a_second(
    secrets: SecretProcess, pool: Pool, key_file: Path
) -> None:
    other = SecretProcess.of(pool, key_file)
    await secrets.set("A", "old")
    assert await other.value("A") == "old"
    await secrets.set("A", "new")
    began = time.monotonic()
    await eventually(lambda: other.value("A"), lambda value: value == "new")
    assert time.monotonic() - began < 5  # 1 s on a machine that is not busy


async def test_resolve_reads_once_for_executions_that_come_at_once(
    secrets: SecretProcess, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault_module, "KEEP_SECONDS", 3600.0)
    for name in ("A", "B"):
        await secrets.set(name)
    statements: list[list[str]] = []
    list_sealed = queries.list_sealed

    async def counted(connection: Connection, *, names: Sequence[str]) -> list[SealedRow]:
        statements.append(list(names))
        return await list_sealed(connection, names=names)

    monkeypatch.setattr(queries, "list_sealed", counted)
    await asyncio.gather(*(secrets.vault.resolve("f", ["A", "B"]) for _ in range(50)))
    assert statements == [["A", "B"]]


async def test_resolve_drops_values_of_an_idle_process(secrets: SecretProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "KEEP_SECONDS", 0.05)
    await secrets.set("A")
    await secrets.value("A")
    assert set(secrets.vault._opened) == {"A"}

    async def empty() -> bool:
        return not secrets.vault._opened

    await eventually(empty)


async def test_resolve_under_way_keeps_nothing_that_was_replaced(
    secrets: SecretProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault_module, "KEEP_SECONDS", 3600.0)
    await secrets.set("A", "old")
    has_read, go_on = asyncio.Event(), asyncio.Event()
    list_sealed = queries.list_sealed

    async def held(connection: Connection, *, names: Sequence[str]) -> list[SealedRow]:
        rows = await list_sealed(connection, names=names)
        has_read.set()
        await go_on.wait()
        return rows

    monkeypatch.setattr(queries, "list_sealed", held)
    resolving = asyncio.create_task(secrets.value("A"))
    await has_read.wait()
    await secrets.set("A", "new")
    go_on.set()
    assert await resolving == "old"  # it was, when this execution began
    assert await secrets.value("A") == "new"


async def test_resolve_refuses_a_function_that_is_not_admitted(secrets: SecretProcess) -> None:
    await secrets.set("A", functions=("orders-*",))
    assert await secrets.value("A", "orders-1") == "value"
    with pytest.raises(SecretUnavailable, match=r"does not admit the function 'mail'; .*`faas secret set A --function"):
        await secrets.value("A", "mail")
    await secrets.set("A", functions=())
    with pytest.raises(SecretUnavailable, match="does not admit the function 'orders-1'"):
        await secrets.value("A", "orders-1")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE secrets SET hosts = NULL WHERE name = 'A'",
        "UPDATE secrets SET hosts = '{https://evil.example}' WHERE name = 'A'",
        "UPDATE secrets SET functions = '{*}' WHERE name = 'A'",
        "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE name = 'B') WHERE name = 'A'",
        "UPDATE secrets SET sealed = '' WHERE name = 'A'",
        "UPDATE secrets SET name = CASE name WHEN 'A' THEN 'C' ELSE 'A' END WHERE name <> 'C'; ",
    ],
)
async def test_resolve_refuses_a_row_that_was_changed_in_the_database(
    secrets: SecretProcess, pool: Pool, change: str
) -> None:
    await secrets.set("A", hosts=["https://a.example"], functions=("f",))
    await secrets.set("B", functions=("f",))
    if "CASE" in change:  # B takes the name of A
        change = "UPDATE secrets SET name = 'C' WHERE name = 'A'; UPDATE secrets SET name = 'A' WHERE name = 'B'"
    await pool.execute(change)
    with structlog.testing.capture_logs() as logs, pytest.raises(SecretUnavailable, match="its seal is broken"):
        await secrets.value("A")
    assert [(line["event"], line["name"]) for line in logs] == [("secret.seal_broken", "A")]


async def test_resolve_without_the_key_says_so_and_goes_on_when_it_is_there(
    secrets: SecretProcess, pool: Pool, key_file: Path, tmp_path: Path
) -> None:
    secret = await secrets.set("A", "one")
    elsewhere = tmp_path / "elsewhere.key"
    other = SecretProcess.of(pool, elsewhere)
    with pytest.raises(SecretUnavailable, match="this server does not have the key that it is sealed under"):
        await other.value("A")
    assert await state(pool, other) == (
        f"DOWN: secrets are sealed: 1 under the key {secret.key_id}; FAAS_SECRET_KEY_FILE is not there"
    )
    elsewhere.write_bytes(key_file.read_bytes())
    elsewhere.chmod(0o644)
    with structlog.testing.capture_logs() as logs, pytest.raises(SecretUnavailable, match="does not have the key"):
        await other.value("A")
    assert [line["event"] for line in logs] == ["secret.not_opened"]
    assert (await state(pool, other)).startswith("DOWN: FAAS_SECRET_KEY_FILE has the mode 0644")
    elsewhere.chmod(0o600)
    assert await other.value("A") == "one"
    assert await state(pool, other) == "UP"


async def test_describe_state_is_off_without_secrets(secrets: SecretProcess, pool: Pool, tmp_path: Path) -> None:
    assert await state(pool, secrets) == "OFF"
    first = await secrets.set("A")
    assert await state(pool, secrets) == "UP"
    other = SecretProcess.of(pool, tmp_path / "other.key")
    (tmp_path / "other.key").touch(mode=0o600)
    (tmp_path / "other.key").write_bytes(b"x" * 32)
    other_key = await other.keyring.read()
    assert other_key is not None
    assert await state(pool, other) == (
        f"DOWN: secrets are sealed: 1 under the key {first.key_id}; FAAS_SECRET_KEY_FILE has the key {other_key.id}"
    )


async def test_resolve_without_the_database_is_unavailable(database_url: str, tmp_path: Path) -> None:
    async with open_pool(database_url, 1) as own_pool:
        process = SecretProcess.of(own_pool, tmp_path / "secret.key")
        await process.set("A")
        own_pool.terminate()
        with pytest.raises(DatabaseUnavailable):
            await process.value("A")
