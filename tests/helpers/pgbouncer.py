"""A PgBouncer in front of a Postgres, where the program is installed."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg

from tests.helpers.support import free_port

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


@asynccontextmanager
async def pgbouncer(url: str, pool_mode: str, pool_size: int = 20) -> AsyncIterator[str]:
    """Run a PgBouncer before the database of `url`, with its default settings otherwise. Yields its URL."""
    assert PROGRAM
    parts = urlsplit(url)
    host = parts.hostname or parse_qs(parts.query)["host"][0]
    user, database, port = parts.username, parts.path.removeprefix("/"), free_port()
    folder = Path(tempfile.mkdtemp(prefix="faas-pgbouncer-", dir="/tmp"))
    password = f" password={parts.password}" if parts.password else ""
    (folder / "users").write_text(f'"{user}" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{database} = host={host} port={parts.port or 5432} dbname={database}{password}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
        f"auth_file = {folder}/users\npool_mode = {pool_mode}\ndefault_pool_size = {pool_size}\n"
    )
    command = [PROGRAM, "--quiet", str(folder / "pgbouncer.ini")]
    if os.geteuid() == 0:  # it refuses root, and so it runs as the user nobody
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "nobody")
        command[1:1] = ["--user", "nobody"]
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        address = f"postgresql://{user}@127.0.0.1:{port}/{database}"
        for _ in range(200):
            try:
                connection = await asyncpg.connect(address, statement_cache_size=0)
            except (OSError, asyncpg.PostgresError):
                assert process.returncode is None, (folder / "log").read_text()
                await asyncio.sleep(0.05)
            else:
                await connection.close()
                break
        else:
            raise AssertionError((folder / "log").read_text())
        yield address
    finally:
        process.kill()
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)
