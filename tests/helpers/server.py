"""A really started `faas serve`: its own process, a port of its own, real HTTP."""

import asyncio
import atexit
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.helpers.folders import make_data_folder
from tests.helpers.support import Platform, eventually

COMMAND = str(Path(sys.executable).parent / "faas")

# The variables by which `make coverage` has child processes measured; none otherwise.
COVERAGE = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}

# Options of `faas serve`. The warm-up of the AssemblyScript compiler takes seconds of processor time, so that servers
# start without it unless a test passes these, and with one then. Python's, of each worker process, takes longer: test_python.py has it.
EVERY_LANGUAGE = ("--languages", "javascript,typescript,assemblyscript,wat,wasm", "--compile-workers", "1")


class Server:
    """The process of a server, the address that it printed, and the lines that it wrote to stderr."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.url = ""
        self.lines: list[str] = []
        self._reading: asyncio.Task[None] | None = None

    async def await_address(self) -> None:
        """Read stderr until the server prints its address."""
        assert self.process.stderr
        while line := (await self.process.stderr.readline()).decode():
            self.lines.append(line.rstrip())
            if found := re.search(r"serves (https?://[\w.:\[\]]+)", line):
                self.url = found[1]
                self._reading = asyncio.create_task(self._read())
                return
        raise AssertionError("the server ended:\n" + "\n".join(self.lines))

    async def _read(self) -> None:
        assert self.process.stderr
        while line := (await self.process.stderr.readline()).decode():
            self.lines.append(line.rstrip())

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return the events of the log so far, those with this name or all; not the lines for a reader of the terminal."""
        found = [json.loads(line) for line in self.lines if line.startswith("{")]
        return [event for event in found if name in (None, event["event"])]

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal, wait for the process and return its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        code = await asyncio.wait_for(self.process.wait(), 40)
        if self._reading:
            await self._reading
        return code


def _own_folder() -> Path:
    """Create a data directory for one server. A shared one would have native code of other tests."""
    folder = make_data_folder("faas-server-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _kill(pid: int) -> None:
    """Kill a server that a failed test left behind, if `pid` is still a child process."""
    with suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG) == (0, 0):
            os.kill(pid, signal.SIGKILL)


async def start_server(
    *arguments: str, environment: dict[str, str] | None = None, prefix: tuple[str, ...] = ()
) -> Server:
    """Start `faas serve` on a free port, with an empty PATH: it needs no program of the system.

    It accepts wat and wasm, unless `arguments` contain EVERY_LANGUAGE. `prefix` is a command that runs it.
    """
    process = await asyncio.create_subprocess_exec(
        *prefix,
        COMMAND,
        "serve",
        "--port",
        "0",
        *arguments,
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        env={
            "PATH": "",
            "HOME": "/nonexistent",
            "FAAS_DATA_DIR": str(_own_folder()),
            "FAAS_LANGUAGES": "wat,wasm",
            **COVERAGE,
            **(environment or {}),
        },
        limit=1 << 24,
    )
    atexit.register(_kill, process.pid)
    server = Server(process)
    try:
        await server.await_address()
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
    return server


@asynccontextmanager
async def serving(*arguments: str, environment: dict[str, str] | None = None) -> AsyncIterator[Server]:
    """Run a server, and stop it at the end with SIGTERM."""
    server = await start_server(*arguments, environment=environment)
    try:
        yield server
    finally:
        code = await server.stop()
    assert code == 0, "\n".join(server.lines)


async def failing(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Run `faas …`, and return its exit code and stderr."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        env={
            "PATH": "",
            "HOME": "/nonexistent",
            "FAAS_DATA_DIR": str(_own_folder()),
            **COVERAGE,
            **(environment or {}),
        },
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    _, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, err.decode()


@asynccontextmanager
async def client_of(server: Server, database_url: str) -> AsyncIterator[Platform]:
    """Connect to the API of the server and to its database."""
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http,
        asyncpg.create_pool(database_url, min_size=1, max_size=3) as pool,
    ):
        yield Platform(http, pool)


def processes_of(pid: int) -> list[int]:
    """Return the pids of all descendants of a process."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent == pid:
                child = int(folder.name)
                found += [child, *processes_of(child)]
    return found


def compilers_of(server: Server, program: str) -> list[int]:
    """Return the pids of the server's worker processes that run `program`, such as worker.mjs."""
    found = []
    for pid in processes_of(server.process.pid):
        with suppress(OSError):
            if program.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


async def freeze_compilers(server: Server, program: str) -> list[int]:
    """SIGSTOP the worker processes that run `program` once they are ready: their next request never ends."""

    async def ready() -> list[int]:
        started = {event["pid"] for event in server.events("worker.started")}
        return [pid for pid in compilers_of(server, program) if pid in started]

    pids = await eventually(ready)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids


def alive(pid: int) -> bool:
    """Return whether the process exists and is not a zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
