"""The server on a data directory: what postmaster.pid says, and whether that is still true.

After a power loss the PID in the file may belong to any process. A server is therefore identified by its working
directory or, where that is not readable, by its start time.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from faas.errors import ConfigurationError

log = structlog.get_logger()

SOCKET_NAME = ".s.PGSQL.5432"
# Lines of postmaster.pid, counted from 0.
_START_TIME_LINE = 2  # seconds since 1970
_STATUS_LINE = 7
# Between the fork and the time that Postgres writes down, on a busy machine.
_START_TIME_TOLERANCE_SECONDS = 10.0
# Fast shutdown, immediate shutdown, kill; each with the seconds to wait for it.
_STOP_SIGNALS = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))


def ready_pid(cluster: Path) -> int | None:
    """Return the PID of the server that reports itself ready on `cluster`, or None. The process may have ended."""
    lines = _read_lines(cluster)
    if len(lines) <= _STATUS_LINE or lines[_STATUS_LINE] != "ready" or not lines[0].isdigit():
        return None
    return int(lines[0])


def _read_lines(cluster: Path) -> list[str]:
    try:
        return [line.strip() for line in (cluster / "postmaster.pid").read_text().splitlines()]
    except OSError:
        return []


def stop_orphan(cluster: Path) -> None:
    """Stop the server that an earlier owner left running on `cluster`; neutralize a stale PID file.

    Only the owner of the data directory may call it. Raises ConfigurationError when the server does not stop.
    """
    lines = _read_lines(cluster)
    if not lines or not lines[0].lstrip("-").isdigit():
        return
    pid = abs(int(lines[0]))
    for number, timeout in _STOP_SIGNALS:
        found = is_server_of(pid, cluster)
        if found is False:
            _replace_stale_pid(cluster, pid)
        if not found:
            return
        log.info("postgres.stopping_orphan", pid=pid, signal=number.name)
        with suppress(ProcessLookupError):  # it ended in between
            os.kill(pid, number)
        _wait_until(lambda: not is_server_of(pid, cluster), timeout)
    raise ConfigurationError(f"an earlier Postgres (pid {pid}) on {cluster} does not stop")


def _replace_stale_pid(cluster: Path, pid: int) -> None:
    """Write our own PID in place of a stale one.

    Postgres refuses to start when the PID belongs to another living process, but treats the PID of its parent as stale.
    The files are kept, because Postgres reads from them whether processes of the dead server still use its shared
    memory.
    """
    for path in (cluster / "postmaster.pid", cluster / f"{SOCKET_NAME}.lock"):
        try:
            with path.open("r+") as file:
                first, rest = file.read().split("\n", 1)
                if first.strip().lstrip("-") == str(pid):
                    # In place and never shorter: on a full disk a truncated file may stay empty.
                    file.seek(0)
                    file.write(f"{str(os.getpid()).rjust(len(first))}\n{rest}")
        except (FileNotFoundError, ValueError):
            continue


def is_server_of(pid: int, cluster: Path) -> bool | None:
    """Return whether `pid` is a living Postgres whose working directory is `cluster`; None when that is unknown.

    PIDs are reused after a reboot. In a container even root often may not read working directories; there a Postgres
    process with the start time of the PID file is the server, and for any other Postgres process the answer is None.
    """
    name, fields = "", []
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        fields = rest.split()
        return fields[0] != "Z" and Path(f"/proc/{pid}/cwd").samefile(cluster)
    except PermissionError:
        if not name.endswith("(postgres"):
            return False
        return _has_recorded_start_time(int(fields[19]), cluster) or None
    except OSError:
        return False


def _has_recorded_start_time(ticks: int, cluster: Path) -> bool:
    """Return whether a process that started `ticks` after boot has the start time in the PID file."""
    lines = _read_lines(cluster)
    if len(lines) <= _START_TIME_LINE or not lines[_START_TIME_LINE].isdigit():
        return False
    boot, ticks_per_second = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME), os.sysconf("SC_CLK_TCK")
    recorded, started = int(lines[_START_TIME_LINE]), boot + ticks / ticks_per_second
    try:  # A restarted container reuses PIDs: a time before its first process refers to no process that lives now.
        first = boot + int(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]) / ticks_per_second
    except OSError:
        return False
    return recorded + 1 >= first and abs(started - recorded) < _START_TIME_TOLERANCE_SECONDS


def _wait_until(condition: Callable[[], bool], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
