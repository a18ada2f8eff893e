"""An external Postgres on a TCP port, which tests stop and start with pg_ctl."""

import asyncio
import os
import pwd
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from faas.database.postgres.binaries import find_program
from tests.helpers.folders import make_data_folder
from tests.helpers.support import free_port


class OrdinaryPostgres:
    """One cluster, which `stop` and `start` control as an operator does, regardless of its clients."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/faas"

    async def create(self) -> None:
        """Run initdb, start the cluster and create a database."""
        if os.geteuid() == 0:  # Postgres refuses root
            shutil.chown(self._folder, "nobody")
        await self._run("initdb", "--username=postgres", "--auth=trust", "--locale=C", "--encoding=UTF8", "--no-sync")
        await self.start()
        admin = await asyncpg.connect(self.url, database="postgres")
        await admin.execute("CREATE DATABASE faas")
        await admin.close()

    async def start(self) -> None:
        """Start the cluster. Returns when it accepts connections."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        await self._run("pg_ctl", "start", "--wait", "--log", str(self._folder / "log"), "--options", options)

    async def stop(self, mode: str = "fast") -> None:
        """Stop the cluster. `fast` closes all connections; `immediate` is a crash."""
        await self._run("pg_ctl", "stop", "--wait", "--mode", mode)

    async def _run(self, program: str, *arguments: str) -> None:
        user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        process = await asyncio.create_subprocess_exec(
            str(find_program(program)),
            *arguments,
            "--pgdata",
            str(self._folder / "data"),
            cwd=self._folder,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **identity,  # type: ignore[arg-type]
        )
        assert await asyncio.wait_for(process.wait(), 90) == 0, f"{program} {arguments}"


@asynccontextmanager
async def ordinary_postgres() -> AsyncIterator[OrdinaryPostgres]:
    """Run a cluster for one test."""
    folder = make_data_folder("faas-postgres-")
    postgres = OrdinaryPostgres(folder)
    try:
        await postgres.create()
        yield postgres
        await postgres.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
