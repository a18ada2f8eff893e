"""Which server is on a data directory: what its postmaster.pid says, and whether that is still so.

A pid in a file that outlived a power cut may be anybody's by now: a server is known by its working directory, or, where
that is hidden from us, by the time of its start.
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

SOCKET = ".s.PGSQL.5432"
_STARTED = 2  # the line, from 0, with the time of the start: seconds since 1970
_READY = 7  # the line that says how far a server is
_START_TOLERANCE = 10.0  # seconds: between fork and the time that a busy machine's Postgres writes down


def ready_server(cluster: Path) -> int | None:
    """The pid of the server that says it is ready on `cluster`; it may be long gone. None when nobody says so."""
    lines = _lines(cluster)
    if len(lines) <= _READY or lines[_READY] != "ready" or not lines[0].isdigit():
        return None
    return int(lines[0])


def _lines(cluster: Path) -> list[str]:
    try:
        return [line.strip() for line in (cluster / "postmaster.pid").read_text().splitlines()]
    except OSError:
        return []


def stop_left_over(cluster: Path) -> None:
    """End the server that an earlier owner left on `cluster`, so that ours can start. A stale pid file is none.

    For the owner of the data directory only.
    """
    lines = _lines(cluster)
    if not lines or not lines[0].lstrip("-").isdigit():
        return
    pid = abs(int(lines[0]))
    for number, patience in ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        found = is_server_of(pid, cluster)
        if found is False:
            _disown(cluster, pid)
        if not found:
            return
        log.info("postgres.stopping_left_over", pid=pid, signal=number.name)
        with suppress(ProcessLookupError):  # it was ending already
            os.kill(pid, number)
        _await(lambda: not is_server_of(pid, cluster), patience)
    raise ConfigurationError(f"an earlier Postgres (pid {pid}) on {cluster} does not stop")


def _disown(cluster: Path, pid: int) -> None:
    """Put our own pid where a dead server's stands: Postgres takes its parent's for stale, and a stranger's for alive.

    The files stay, because Postgres looks up in them whether processes of the dead server still use its memory.
    """
    for path in (cluster / "postmaster.pid", cluster / f"{SOCKET}.lock"):
        try:
            with path.open("r+") as file:
                first, rest = file.read().split("\n", 1)
                if first.strip().lstrip("-") == str(pid):
                    # In place and never shorter: on a full disk a file that was emptied first may stay empty.
                    file.seek(0)
                    file.write(f"{str(os.getpid()).rjust(len(first))}\n{rest}")
        except (FileNotFoundError, ValueError):
            continue


def is_server_of(pid: int, cluster: Path) -> bool | None:
    """Whether `pid` is a living Postgres whose working directory is `cluster`; pids are used again after a reboot.

    Root in a container often may not see working directories: there a Postgres that began when the file says so is the
    server, and None is one of which we know too little.
    """
    name, fields = "", []
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        fields = rest.split()
        return fields[0] != "Z" and Path(f"/proc/{pid}/cwd").samefile(cluster)
    except PermissionError:
        if not name.endswith("(postgres"):
            return False
        return _began_as_written(int(fields[19]), cluster) or None
    except OSError:
        return False


def _began_as_written(ticks: int, cluster: Path) -> bool:
    """Whether a process that began `ticks` after boot is as old as the server that wrote the file."""
    lines = _lines(cluster)
    if len(lines) <= _STARTED or not lines[_STARTED].isdigit():
        return False
    boot, second = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME), os.sysconf("SC_CLK_TCK")
    written, began = int(lines[_STARTED]), boot + ticks / second
    try:  # pids begin anew with the first process of a container: what was written before is of none that lives
        first = boot + int(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]) / second
    except OSError:
        return False
    return written + 1 >= first and abs(began - written) < _START_TOLERANCE


def _await(condition: Callable[[], bool], patience: float) -> None:
    deadline = time.monotonic() + patience
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
