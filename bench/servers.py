"""Servers of the benchmark's own: faas on an empty data directory, and the peers. Each ends with its `with` block."""

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from bench.failure import BenchmarkFailed

ROOT = Path(__file__).parent.parent
FAAS = Path(sys.executable).with_name("faas")
PEERS = ROOT / ".venv-bench" / "bin"  # the peers that faas itself does not need are installed here
_START, _STOP = 60.0, 60.0  # seconds


class Server(msgspec.Struct, frozen=True):
    """A server that listens. `database` is where psql finds its Postgres, "" for peers; `began` is perf_counter()."""

    url: str
    pid: int
    began: float
    database: str = ""

    @property
    def resident_mib(self) -> float:
        """Resident memory of the server's process, without its children."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
        if not found:
            raise BenchmarkFailed(f"process {self.pid} has no resident memory: it ended")
        return int(found[1]) / 1024


@contextmanager
def faas(data_dir: Path, *options: str) -> Iterator[Server]:
    """`faas serve` with its embedded Postgres, a free port, and quiet logs."""
    command = [str(FAAS), "serve", "--port", "0", "--data-dir", str(data_dir), "--log-level", "error", *options]
    with _running(command, stderr=subprocess.PIPE) as process:
        lines = _lines(process)
        url = _awaited(process, lines, r" serves (http://\S+)")
        began = time.perf_counter()
        database = _awaited(process, lines, r" psql +psql '([^']+)'")
        yield Server(url, process.pid, began, database)


@contextmanager
def echo() -> Iterator[Server]:
    """A bare litestar application under uvicorn, as faas runs its own."""
    with _on_free_port([sys.executable, "-m", "bench.peers.echo", "{port}"]) as server:
        yield server


@contextmanager
def functions_framework() -> Iterator[Server]:
    """A Python function under Google's framework, with the gunicorn that its command starts by default."""
    command = [str(PEERS / "functions-framework"), "--target", "add", "--source"]
    command += [str(ROOT / "bench" / "peers" / "google_function.py"), "--host", "127.0.0.1", "--port", "{port}"]
    with _on_free_port(command) as server:
        yield server


@contextmanager
def _on_free_port(command: Sequence[str]) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with _running([part.format(port=port) for part in command], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + _START
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
def _running(command: Sequence[str], stderr: int) -> Iterator[subprocess.Popen[str]]:
    try:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
            start_new_session=True,  # a Ctrl-C is ours to pass on
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    except OSError as error:
        raise BenchmarkFailed(f"{command[0]} does not start: {error.strerror}") from None
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _lines(process: subprocess.Popen[str]) -> queue.Queue[str]:
    """What the process writes to stderr, read for as long as it lives so that it never waits for a reader."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert process.stderr
        for line in process.stderr:
            lines.put(line)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _awaited(process: subprocess.Popen[str], lines: "queue.Queue[str]", pattern: str) -> str:
    """The group of the first line that matches."""
    seen = []
    deadline = time.monotonic() + _START
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
