"""The embedded Postgres: durability, no orphans, unusual data directories, stale PID files."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import asyncpg
import pytest

from faas.database.postgres import binaries
from faas.database.postgres.server import EmbeddedPostgres
from faas.errors import ConfigurationError
from tests.helpers.support import eventually

SETPRIV = Path("/usr/bin/setpriv")


async def ask(server: EmbeddedPostgres, statement: str) -> object:
    connection = await asyncpg.connect(server.url, database="postgres")
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def server_pid(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def test_server_restart_keeps_data_and_stop_ends_the_process(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    await server.start()
    await ask(server, "CREATE TABLE kept (n int)")
    pid = server_pid(tmp_path)
    await server.stop()
    assert not alive(pid)
    await server.start()
    assert await ask(server, "SELECT count(*) FROM kept") == 0
    await server.stop()


async def test_server_listens_only_on_a_socket_in_a_private_folder(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    await server.start()
    assert await ask(server, "SHOW listen_addresses") == ""
    assert await ask(server, "SHOW fsync") == "on"
    assert (tmp_path / "postgres").stat().st_mode & 0o077 == 0
    await server.stop()


async def test_server_in_a_long_path_below_an_inaccessible_folder() -> None:
    """Socket paths are short, and the server of root runs as a user that cannot traverse private folders."""
    with tempfile.TemporaryDirectory(prefix="faas-closed-") as folder:
        assert Path(folder).stat().st_mode & 0o077 == 0
        deep = Path(folder) / ("long" * 25) / ("path" * 25)
        server = EmbeddedPostgres(deep)
        await server.start()
        assert await ask(server, "SELECT 1") == 1
        await server.stop()
        await server.start()
        assert await ask(server, "SELECT 1") == 1
        await server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another user")
async def test_binaries_unreachable_for_the_server_user_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a checkout below /root."""
    copies = Path(tempfile.mkdtemp(prefix="faas-copies-", dir="/tmp"))
    copies.chmod(0o755)
    reachable = binaries.reachable_by_server
    monkeypatch.setattr(binaries, "BINARIES_CACHE", copies)
    monkeypatch.setattr(binaries, "reachable_by_server", lambda path: "pixeltable" not in path.name and reachable(path))
    server = EmbeddedPostgres(tmp_path)
    try:
        await server.start()
        (copy,) = copies.iterdir()
        assert Path(f"/proc/{server_pid(tmp_path)}/exe").resolve().is_relative_to(copy)
        assert await ask(server, "SELECT 1") == 1
    finally:
        await server.stop()
        shutil.rmtree(copies)


async def test_server_start_refuses_a_data_directory_in_use(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    await server.start()
    with pytest.raises(ConfigurationError, match=f"in use by another faas \\(pid {os.getpid()}\\)"):
        await EmbeddedPostgres(tmp_path).start()
    assert await ask(server, "SELECT 1") == 1
    await server.stop()


async def test_server_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path; from faas.database.postgres.server import EmbeddedPostgres\n"
        "async def main():\n"
        "    await EmbeddedPostgres(Path(sys.argv[1])).start(); print('up', flush=True); await asyncio.sleep(600)\n"
        "asyncio.run(main())"
    )
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout
    while b"up" not in (line := await owner.stdout.readline()):
        assert line
    pid = server_pid(tmp_path)
    owner.kill()
    await owner.wait()

    async def gone() -> bool:
        return not alive(pid)

    await eventually(gone, timeout=5)
    server = EmbeddedPostgres(tmp_path)
    await server.start()
    assert await ask(server, "SELECT 1") == 1
    await server.stop()


async def test_server_start_stops_an_orphan(tmp_path: Path) -> None:
    earlier = EmbeddedPostgres(tmp_path)
    await earlier.start()
    await ask(earlier, "CREATE TABLE kept (n int)")
    pid = server_pid(tmp_path)
    assert earlier._supervisor
    earlier._supervisor.cancel()  # as if its owner had died without its server
    assert earlier._lock is not None
    os.close(earlier._lock)
    server = EmbeddedPostgres(tmp_path)
    await server.start()
    assert server_pid(tmp_path) != pid
    assert await ask(server, "SELECT count(*) FROM kept") == 0
    await server.stop()


@pytest.mark.skipif(os.geteuid() != 0 or not SETPRIV.exists(), reason="needs root, and setpriv to be less than root")
async def test_pid_file_hidden_working_directory_identifies_by_start_time(tmp_path: Path) -> None:
    """As for root in a container, which would otherwise not detect an orphan."""
    server = EmbeddedPostgres(tmp_path)
    await server.start()
    cluster, pid_file = tmp_path / "postgres", tmp_path / "postgres" / "postmaster.pid"

    async def seen() -> str:
        question = (
            "import pathlib, sys; from faas.database.postgres.pid_file import is_server_of; "
            "print(is_server_of(int(sys.argv[1]), pathlib.Path(sys.argv[2])))"
        )
        process = await asyncio.create_subprocess_exec(
            SETPRIV, "--bounding-set", "-sys_ptrace", "--inh-caps", "-all",
            sys.executable, "-c", question, str(server_pid(tmp_path)), str(cluster), stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        return (await process.communicate())[0].decode().strip()

    assert await seen() == "True"
    content = pid_file.read_text()
    lines = content.splitlines(keepends=True)
    pid_file.write_text("".join([*lines[:2], f"{int(lines[2]) - 60}\n", *lines[3:]]))
    assert await seen() == "None"
    pid_file.write_text(content)
    await server.stop()


async def test_server_start_with_a_stale_pid_file(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    await server.start()
    pid_file = tmp_path / "postgres" / "postmaster.pid"
    content = pid_file.read_text()
    await server.stop()
    # As after a power loss. The PID now belongs to another process, which must not be stopped: this one.
    pid_file.write_text(content.replace(content.split("\n", 1)[0], str(os.getpid()), 1))
    pid_file.chmod(0o644)
    await server.start()
    assert await ask(server, "SELECT 1") == 1
    await server.stop()


async def test_server_supervisor_restarts_a_dead_server(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    await server.start()
    pid = server_pid(tmp_path)
    os.kill(pid, signal.SIGKILL)

    async def back() -> bool:
        try:
            return server_pid(tmp_path) != pid and await ask(server, "SELECT 1") == 1
        except (OSError, IndexError, ValueError, asyncpg.PostgresError):
            return False

    await eventually(back)
    await server.stop()


async def test_server_start_refuses_another_major_version(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir(parents=True)
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(ConfigurationError, match="was written by Postgres 16; this faas brings Postgres 18"):
        await EmbeddedPostgres(tmp_path).start()
    assert [path.name for path in (tmp_path / "postgres").iterdir()] == ["PG_VERSION"]


async def test_server_start_repeats_an_interrupted_initdb(tmp_path: Path) -> None:
    (tmp_path / ".postgres-initialising" / "base").mkdir(parents=True)
    (tmp_path / "postgres").mkdir()
    server = EmbeddedPostgres(tmp_path)
    await server.start()
    assert await ask(server, "SELECT 1") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"postgres", "postgres.log", "lock"}
    await server.stop()


async def test_server_start_refuses_a_folder_with_other_files(tmp_path: Path) -> None:
    """For example `postgres/` beside a compose file."""
    (tmp_path / "postgres" / "migrations").mkdir(parents=True)
    (tmp_path / "postgres" / "migrations" / "1.sql").write_text("SELECT 1")
    with pytest.raises(ConfigurationError, match="is not empty and not a Postgres data directory"):
        await EmbeddedPostgres(tmp_path).start()
    assert (tmp_path / "postgres" / "migrations" / "1.sql").read_text() == "SELECT 1"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_server_start_reports_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        await EmbeddedPostgres(tmp_path / "data").start()
