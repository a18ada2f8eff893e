"""The commands `faas backup` and `faas restore`: beside a running server, when killed, on damaged files."""

import asyncio
import os
import shutil
import signal
import stat
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest

from faas.database.postgres.server import EmbeddedPostgres
from tests.helpers.server import COMMAND, EVERY_LANGUAGE, Server, failing, serving, start_server
from tests.helpers.support import ECHO_TS, LOOP_WAT, Platform, core_wat, eventually, replaced_database

_ENVIRONMENT = {"PATH": "", "HOME": "/nonexistent"}


async def faas(*arguments: str) -> str:
    """Run `faas …` successfully and return its standard output."""
    process = await asyncio.create_subprocess_exec(COMMAND, *arguments, env=_ENVIRONMENT, stdout=-1, stderr=-1)
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, err.decode()
    return out.decode()


@asynccontextmanager
async def http_of(server: Server) -> AsyncIterator[Platform]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as http:
        yield Platform(http, None)  # type: ignore[arg-type]


@asynccontextmanager
async def inside(data_dir: Path) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Connect to the embedded database of a running server."""
    postgres = EmbeddedPostgres(data_dir)
    assert postgres.attach()
    connection = await asyncpg.connect(postgres.url)
    try:
        yield connection
    finally:
        await connection.close()
        await postgres.stop()


async def waiting(connection: "asyncpg.Connection[asyncpg.Record]", application: str, query: str) -> None:
    """Wait until a statement like `query` of `application` waits for a lock."""

    async def blocked() -> int:
        await connection.execute("SELECT pg_stat_clear_snapshot()")  # a transaction sees one of them otherwise
        return int(
            await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database() "
                "AND wait_event_type = 'Lock' AND query LIKE $2",
                application,
                query,
            )
        )

    await eventually(blocked)


async def test_backup_of_a_running_server_restores_the_same_answers(data_dir: Path, tmp_path: Path) -> None:
    """A backup under load, with an execution and a compilation in flight, restored into another data directory."""
    file = tmp_path / "faas.backup"
    async with serving("--data-dir", str(data_dir), *EVERY_LANGUAGE) as server, http_of(server) as platform:
        await platform.deploy("echo", ECHO_TS, "assemblyscript")
        await platform.deploy("loop", LOOP_WAT)
    # There is no compiler, so that new functions stay PENDING.
    server = await start_server("--data-dir", str(data_dir), "--role", "api", "--time-limit", "300s")
    try:
        async with http_of(server) as platform:
            await platform.register("waiting", core_wat())
            looping = asyncio.create_task(platform.http.post("/functions/loop/execute", json={}))
            acknowledged: list[dict[str, object]] = []
            stop = asyncio.Event()

            async def load() -> None:
                while not stop.is_set():
                    acknowledged.append(await platform.execute("echo", {"n": len(acknowledged)}))

            loading = [asyncio.create_task(load()) for _ in range(2)]
            await eventually(lambda: asyncio.sleep(0, len(acknowledged)), lambda count: count > 20)
            before = list(acknowledged)
            said = await faas("backup", str(file), "--data-dir", str(data_dir))
            during = len(acknowledged)
            await eventually(lambda: asyncio.sleep(0, len(acknowledged)), lambda count: count > during + 20)
            stop.set()
            await asyncio.gather(*loading)
            functions = [(await platform.http.get(f"/functions/{name}")).json() for name in ("echo", "loop")]
            records = [(await platform.http.get(f"/executions/{execution['id']}")).json() for execution in before]
            assert "backed up 3 functions, " in said
            assert "and 1 waiting message" in said
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            looping.cancel()
    finally:
        await server.stop(signal.SIGKILL)

    elsewhere = tmp_path.with_name(f"{tmp_path.name}-elsewhere")
    # The endless execution, and possibly some of the load.
    assert "had not ended: FAILED as interrupted" in await faas("restore", str(file), "--data-dir", str(elsewhere))
    async with serving("--data-dir", str(elsewhere)) as server, http_of(server) as platform:
        assert [(await platform.http.get(f"/functions/{name}")).json() for name in ("echo", "loop")] == functions
        for record in records:
            assert (await platform.http.get(f"/executions/{record['id']}")).json() == record
        (looped,) = (await platform.http.get("/functions/loop/executions")).json()
        assert (looped["status"], looped["errorMessage"]) == ("FAILED", "interrupted")
        assert (await platform.settled("waiting"))["status"] == "READY"
        assert (await platform.execute("waiting", {"a": 1}))["output"] == {"a": 1}
        assert (await platform.execute("echo", {"b": 2}))["output"] == {"b": 2}
        await platform.deploy("new", core_wat())
        assert (await platform.http.get("/functions/echo/executions?status=RUNNING")).json() == []


async def test_restore_by_url_and_into_a_data_directory(
    database_url: str, server_url: str, data_dir: Path, tmp_path: Path
) -> None:
    """From a database by URL to one by URL and to an embedded one that is not running; refused unless empty."""
    file, again = tmp_path / "a", tmp_path / "b"
    async with serving("--database-url", database_url) as server, http_of(server) as platform:
        await platform.deploy("echo", core_wat())
        execution = await platform.execute("echo", {"a": 1})
        await faas("backup", str(file), "--database-url", database_url)
    empty = replaced_database(server_url, f"empty_{uuid4().hex}")
    admin = await asyncpg.connect(replaced_database(server_url, "postgres"))
    await admin.execute(f"CREATE DATABASE {empty.split('/')[-1].split('?')[0]}")
    await admin.close()
    await faas("restore", str(file), "--database-url", empty)
    await faas("backup", str(again), "--database-url", empty)
    await faas("restore", str(again), "--data-dir", str(data_dir))
    await faas("backup", str(again), "--force", "--data-dir", str(data_dir))
    assert not (data_dir / "postgres" / "postmaster.pid").exists()  # started for the backup, and stopped
    async with serving("--data-dir", str(data_dir)) as server, http_of(server) as platform:
        assert (await platform.http.get(f"/executions/{execution['id']}")).json()["output"] == {"a": 1}
        assert (await platform.execute("echo", {"b": 2}))["output"] == {"b": 2}
        code, said = await failing("restore", str(file), "--data-dir", str(data_dir))
        assert (code, said.count("\n")) == (2, 1)
        assert "is in use by another faas" in said
    code, said = await failing("restore", str(file), "--data-dir", str(data_dir))
    assert (code, said) == (
        2,
        f"faas: data directory {data_dir} is not empty, it has postgres: restore into an empty one\n",
    )
    code, said = await failing("restore", str(file), "--database-url", empty)
    assert (code, said.count("\n")) == (2, 1)
    assert "the database is not empty, it has " in said


async def test_backup_to_standard_output_and_existing_files(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "faas.backup"
    connection = ("--database-url", database_url)
    process = await asyncio.create_subprocess_exec(
        COMMAND, "backup", "-", *connection, env=_ENVIRONMENT, stdout=-1, stderr=-1
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    assert err.decode() == "backed up 0 functions, 0 executions and 0 waiting messages to standard output\n"
    file.write_bytes(out)
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
    code, said = await failing("backup", str(file), *connection)
    assert (code, said) == (2, f"faas: {file} exists: choose another name, or pass --force to replace it\n")
    assert file.read_bytes() == out
    await faas("backup", str(file), "--force", *connection)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    code, said = await failing("backup", str(tmp_path / "none" / "x"), *connection)
    assert (code, said) == (2, f"faas: cannot write {tmp_path / 'none' / 'x'}: No such file or directory\n")
    code, said = await failing("restore", "-")
    assert (code, said.count("\n")) == (2, 1)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_backup_as_another_user_is_refused(data_dir: Path, tmp_path: Path) -> None:
    async with serving("--data-dir", str(data_dir)):
        data_dir.parent.chmod(0o755)
        home = data_dir.parent / "home"
        home.mkdir()
        shutil.chown(home, "daemon")
        # Imported by root, because that user may not be able to reach this checkout.
        program = "import os, sys, faas.cli.backup; os.setgroups([]); os.setgid(1); os.setuid(1); faas.cli.main()"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, "backup", str(home / "backup"), "--data-dir", str(data_dir)),
            env=_ENVIRONMENT,
            stderr=-1,
        )
        _, err = await asyncio.wait_for(process.communicate(), 60)
        assert (process.returncode, err.decode()) == (
            2,
            f"faas: data directory {data_dir}: Permission denied; run this as the user of its server\n",
        )
        assert list(home.iterdir()) == []


async def test_backup_without_a_database_is_refused(data_dir: Path, tmp_path: Path) -> None:
    code, said = await failing("backup", str(tmp_path / "x"), "--data-dir", str(data_dir))
    assert code == 2
    assert said == (f"faas: there is no database in {data_dir}: name its --data-dir, or its --database-url\n")
    code, said = await failing("backup", str(tmp_path / "x"), "--database-url", "postgresql://unknown@127.0.0.1:1/x")
    assert (code, said.count("\n")) == (2, 1)
    assert not data_dir.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", ["backup SIGTERM", "backup SIGKILL", "server SIGKILL"])
async def test_backup_interrupted_leaves_no_file(data_dir: Path, tmp_path: Path, end: str) -> None:
    file = tmp_path / "faas.backup"
    victim, _, number = end.partition(" ")
    server = await start_server("--data-dir", str(data_dir))
    try:
        async with http_of(server) as platform, inside(data_dir) as connection:
            await platform.deploy("echo", core_wat())
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("LOCK TABLE pgmq.a_compilation_results IN ACCESS EXCLUSIVE MODE")
            process = await asyncio.create_subprocess_exec(
                COMMAND, "backup", str(file), "--data-dir", str(data_dir), env=_ENVIRONMENT, stderr=-1
            )
            await waiting(connection, "faas backup", "COPY%")
            (process if victim == "backup" else server.process).send_signal(signal.Signals[number])
            _, err = await asyncio.wait_for(process.communicate(), 30)
            assert process.returncode == (-signal.SIGKILL if end == "backup SIGKILL" else 1)
            if victim == "backup":
                await transaction.rollback()
                assert (await platform.execute("echo", {"a": 1}))["output"] == {"a": 1}
        assert not file.exists()
        if end != "backup SIGKILL":
            assert err.decode().count("\n") == 1, err.decode()
            assert list(tmp_path.iterdir()) == []
    finally:
        await server.stop(signal.SIGTERM)


async def test_restore_killed_leaves_nothing_and_can_be_repeated(
    database_url: str, server_url: str, data_dir: Path, tmp_path: Path
) -> None:
    file = tmp_path / "faas.backup"
    async with serving("--database-url", database_url) as server, http_of(server) as platform:
        await platform.deploy("echo", core_wat())
        await faas("backup", str(file), "--database-url", database_url)

    # By URL, killed during its transaction: the last migration waits for ours, which creates the same function.
    empty = replaced_database(server_url, f"empty_{uuid4().hex}")
    admin = await asyncpg.connect(replaced_database(server_url, "postgres"))
    await admin.execute(f"CREATE DATABASE {empty.split('/')[-1].split('?')[0]}")
    await admin.close()
    holder = await asyncpg.connect(empty)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute(
        "CREATE FUNCTION notify_queue_consumers() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    )
    process = await asyncio.create_subprocess_exec(COMMAND, "restore", str(file), "--database-url", empty, stderr=-1)
    await waiting(holder, "faas backup", "%")
    process.kill()
    await process.communicate()
    await transaction.rollback()

    async def tables() -> int:
        found = await holder.fetchval(
            "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        return int(found)

    await eventually(tables, lambda count: count == 0)
    await holder.close()
    await faas("restore", str(file), "--database-url", empty)

    # Embedded, killed as soon as its server answers; a second restore is not disturbed by what it left.
    process = await asyncio.create_subprocess_exec(
        COMMAND, "restore", str(file), "--data-dir", str(data_dir), stderr=-1, env=_ENVIRONMENT
    )
    half_made = data_dir / ".postgres-restoring" / "postmaster.pid"
    await eventually(lambda: asyncio.to_thread(half_made.exists))
    process.kill()
    await process.communicate()
    assert not (data_dir / "postgres").exists()
    await faas("restore", str(file), "--data-dir", str(data_dir))
    assert {path.name for path in data_dir.iterdir()} == {"lock", "postgres", "postgres.log"}
    async with serving("--data-dir", str(data_dir)) as server, http_of(server) as platform:
        assert (await platform.execute("echo", {"b": 2}))["output"] == {"b": 2}


async def test_restore_of_a_damaged_file_changes_nothing(database_url: str, data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "faas.backup"
    async with serving("--database-url", database_url) as server, http_of(server) as platform:
        await platform.deploy("echo", core_wat())
        await faas("backup", str(file), "--database-url", database_url)
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:200] + b"\xff" * 50 + whole[250:], b"", b"no zip at all"):
        file.write_bytes(content)
        code, said = await failing("restore", str(file), "--data-dir", str(data_dir))
        assert (code, said.count("\n")) == (2, 1), said
        assert said.startswith(f"faas: {file} is ")
        assert not data_dir.exists()
    code, said = await failing("restore", str(tmp_path / "none"), "--data-dir", str(data_dir))
    assert (code, said) == (2, f"faas: cannot read {tmp_path / 'none'}: No such file or directory\n")
