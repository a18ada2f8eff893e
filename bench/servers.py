"""Servers that the benchmark starts: faas on an empty data directory, and its peers. Each is a context manager."""

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeAlias

import httpx
import msgspec

from bench.failure import BenchmarkFailed

ROOT = Path(__file__).parent.parent
FAAS = Path(sys.executable).with_name("faas")
PEERS = ROOT / ".venv-bench" / "bin"  # of peers that are not dependencies of faas
NPM_PEERS = ROOT / "bench" / "peers" / "javascript"
Worker: TypeAlias = Literal["add", "echo"]  # a file in NPM_PEERS, with its configuration for workerd
_START_TIMEOUT_SECONDS, _STOP_TIMEOUT_SECONDS = 60.0, 60.0


class Server(msgspec.Struct, frozen=True):
    """A listening server. `database` is the URL of its Postgres, "" for peers; `began` is a perf_counter() time."""

    url: str
    pid: int
    began: float
    database: str = ""

    @property
    def resident_mib(self) -> float:
        """The resident memory of the server's process in MiB, without its children."""
        return self.memory_kib("VmRSS") / 1024

    def memory_kib(self, kind: str) -> int:
        """A kind of the memory of the server's process in KiB, without its children: VmRSS, RssAnon, RssFile…"""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"^{kind}:\s+(\d+) kB$", status, re.MULTILINE)
        if not found:
            raise BenchmarkFailed(f"process {self.pid} has no {kind}: it ended")
        return int(found[1])

    @property
    def guest_thread_seconds(self) -> float:
        """The processor time of guest threads, which run at a lower priority than all other threads of the server."""
        ticks = 0
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            with suppress(OSError):  # it has ended
                fields = (thread / "stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[16]) > 0:  # its niceness
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def faas(
    data_dir: Path, *options: str, program: Sequence[str] = (str(FAAS),), environ: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run `faas serve` with an embedded Postgres on a free port; it logs only errors. `program` is the command."""
    command = [*program, "serve", "--port", "0", "--data-dir", str(data_dir), "--log-level", "error", *options]
    with _running(command, stderr=subprocess.PIPE, environ=environ) as process:
        lines = _lines(process)
        url = _awaited(process, lines, r" serves (http://\S+)")
        began = time.perf_counter()
        database = _awaited(process, lines, r" psql +psql '([^']+)'")
        yield Server(url, process.pid, began, database)


@contextmanager
def echo() -> Iterator[Server]:
    """Run a bare litestar application under uvicorn, configured as in faas."""
    with _on_free_port([sys.executable, "-m", "bench.peers.echo", "{port}"]) as server:
        yield server


@contextmanager
def functions_framework() -> Iterator[Server]:
    """Run a Python function under Google's functions-framework, with gunicorn as its default."""
    command = [str(PEERS / "functions-framework"), "--target", "add", "--source"]
    command += [str(ROOT / "bench" / "peers" / "google_function.py"), "--host", "127.0.0.1", "--port", "{port}"]
    with _on_free_port(command) as server:
        yield server


@contextmanager
def workerd(worker: Worker) -> Iterator[Server]:
    """Run a worker in workerd, with one isolate, which is all that a worker has."""
    command = [
        _npm_program("@cloudflare/workerd-*/bin/workerd"),
        "serve",
        str(NPM_PEERS / f"{worker}.capnp"),
        "--socket-addr",
        "http=127.0.0.1:{port}",
    ]
    with _on_free_port(command) as server:
        yield server


@contextmanager
def deno(worker: Worker) -> Iterator[Server]:
    """Run a worker in `deno serve`, in one thread."""
    command = [
        _npm_program("@deno/*/deno"),
        "serve",
        "--quiet",
        "--no-config",
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
    ]
    with _on_free_port([*command, str(NPM_PEERS / f"{worker}.js")]) as server:
        yield server


def _npm_program(pattern: str) -> str:
    """Return the program of an npm peer. npm installs only the package of this platform."""
    found = next((NPM_PEERS / "node_modules").glob(pattern), None)
    if found is None:
        raise BenchmarkFailed(f"{NPM_PEERS}/node_modules has no {pattern}: `make bench` installs it")
    return str(found)


@contextmanager
def _on_free_port(command: Sequence[str]) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with _running([part.format(port=port) for part in command], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                httpx.get(url, timeout=5, trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        else:
            raise BenchmarkFailed(f"{command[0]} does not serve")
        yield Server(url, process.pid, time.perf_counter())


@contextmanager
def _running(
    command: Sequence[str], stderr: int, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    try:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
            start_new_session=True,  # Ctrl-C must not reach the server directly
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(environ or {})},
        )
    except OSError as error:
        raise BenchmarkFailed(f"{command[0]} does not start: {error.strerror}") from None
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _lines(process: subprocess.Popen[str]) -> queue.Queue[str]:
    """Return a queue of the lines that the process writes to stderr. A thread reads them, so that it never blocks."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert process.stderr
        for line in process.stderr:
            lines.put(line)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _awaited(process: subprocess.Popen[str], lines: "queue.Queue[str]", pattern: str) -> str:
    """Return the first group of the first line that matches. Raises BenchmarkFailed on a timeout."""
    seen = []
    deadline = time.monotonic() + _START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        try:
            line = lines.get(timeout=0.2)
        except queue.Empty:
            if process.poll() is not None:
                break
            continue
        if found := re.search(pattern, line):
            return found[1]
        seen.append(line)
    raise BenchmarkFailed("faas does not serve:\n" + "".join(seen[-10:]))
