"""The embedded Postgres: one data directory, a Unix socket inside it, no TCP.

The server runs as a child process and ends with this one, however this one ends: the kernel sends it SIGINT, which is
Postgres' fast shutdown. A start first stops an orphan of an earlier owner. Postgres refuses to run as root, so the
server of root runs as `nobody`. Where `nobody` cannot traverse the parents of the data directory (for example /root),
the server gets the directory as an open descriptor, /proc/self/fd/N, and the parents keep their modes.
"""

import asyncio
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

import structlog

from faas.database.postgres.binaries import MAJOR_VERSION, find_program, reachable_by_server, server_user
from faas.database.postgres.pid_file import SOCKET_NAME, ready_pid, stop_orphan
from faas.errors import ConfigurationError, DataDirectoryInUse

log = structlog.get_logger()

USER = "faas"
DATABASE = "faas"
DEFAULT_CONNECTIONS = 200
_SOCKET_PATH_LIMIT_BYTES = 107  # sockaddr_un.sun_path without the final NUL
_FAST_SHUTDOWN_TIMEOUT_SECONDS = 20
_FIRST_RESTART_PAUSE_SECONDS = 0.1
_MAX_RESTART_PAUSE_SECONDS = 5
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class EmbeddedPostgres:
    """One data directory and the server on it: `start`, use `url`, `stop`."""

    def __init__(self, data_dir: Path, *, connections: int = DEFAULT_CONNECTIONS) -> None:
        """`connections` is how many the server accepts, at least DEFAULT_CONNECTIONS."""
        self._connections = max(connections, DEFAULT_CONNECTIONS)
        self.data_dir = data_dir.expanduser().absolute()
        self.cluster = self.data_dir / "postgres"
        self.log_file = self.data_dir / "postgres.log"
        self._lock: int | None = None
        self._directory: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._log_offset = 0  # the size of the log file when the current server was started

    @property
    def url(self) -> str:
        """The URL of the database: `postgresql://faas@/faas?host=<socket folder>`."""
        folder = str(self.cluster)
        if len(folder) + 1 + len(SOCKET_NAME) > _SOCKET_PATH_LIMIT_BYTES:
            folder = f"/proc/self/fd/{self._directory}"
        return f"postgresql://{USER}@/{DATABASE}?host={quote(folder, safe='')}"

    @property
    def running(self) -> bool:
        """True while the server's process exists."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Lock the data directory, create the cluster at the first start, and start and supervise the server.

        Raises DataDirectoryInUse when another process has the directory, ConfigurationError when Postgres cannot start.
        """
        try:
            await asyncio.to_thread(self._lock_data_directory)
            await asyncio.to_thread(self._prepare_cluster)
            await self._spawn()
        except OSError as error:
            await self.stop()
            place = f": {error.filename}" if error.filename else ""
            raise ConfigurationError(f"data directory {self.data_dir}: {error.strerror}{place}") from None
        except BaseException:
            await self.stop()
            raise
        self._supervisor = asyncio.create_task(self._supervise(), name="embedded-postgres")

    def attach(self) -> bool:
        """Use the server that another process runs on this data directory; return False when none answers."""
        if ready_pid(self.cluster) is None:
            return False
        self._directory = _open_directory(self.cluster)
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(f"/proc/self/fd/{self._directory}/{SOCKET_NAME}")
            except OSError:  # the PID file is stale
                os.close(self._directory)
                self._directory = None
                return False
        return True

    async def stop(self) -> None:
        """Stop the server (fast shutdown: open transactions are rolled back) and unlock the data directory."""
        await self._stop_server()
        for descriptor in (self._directory, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._directory = self._lock = None

    async def _stop_server(self) -> None:
        if self._supervisor:
            self._supervisor.cancel()
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                await asyncio.to_thread(self._process.wait, _FAST_SHUTDOWN_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                log.warning("postgres.shutdown_timed_out", pid=self._process.pid)
                self._process.send_signal(signal.SIGQUIT)
                await asyncio.to_thread(self._process.wait)
        self._process = None

    # -- the data directory ----------------------------------------------------------------------------------------

    def _lock_data_directory(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._lock, 20, 0).decode() or "?"
            os.close(self._lock)
            self._lock = None
            raise DataDirectoryInUse(
                f"data directory {self.data_dir} is in use by another faas (pid {owner}): stop that one, "
                "or choose another with --data-dir"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def _prepare_cluster(self) -> None:
        if self._is_new():
            self._initialize()
        self._check_version()
        self._directory = _open_directory(self.cluster)
        stop_orphan(self.cluster)

    def _is_new(self) -> bool:
        """Return True when there is no cluster yet. Raises ConfigurationError when other files are in its place."""
        if (self.cluster / "PG_VERSION").exists():
            return False
        if self.cluster.exists() and any(self.cluster.iterdir()):
            raise ConfigurationError(
                f"{self.cluster} is not empty and not a Postgres data directory: choose another folder with --data-dir"
            )
        return True

    def _check_version(self) -> None:
        if (found := (self.cluster / "PG_VERSION").read_text().strip()) != MAJOR_VERSION:
            raise ConfigurationError(
                f"{self.cluster} was written by Postgres {found}; this faas brings Postgres {MAJOR_VERSION}. "
                "`faas backup FILE` with the faas that wrote it, then `faas restore FILE` into a new data directory"
            )

    def _initialize(self) -> None:
        """Create a cluster under a temporary name and rename it, so that an incomplete one is never used."""
        if not Path("/bin/sh").exists():
            raise ConfigurationError("a new data directory needs /bin/sh, which Postgres' initdb uses; it is missing")
        log.info("postgres.initializing", data_dir=str(self.data_dir))
        partial = self.data_dir / ".postgres-initialising"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        if user := server_user():
            os.chown(partial, user.pw_uid, user.pw_gid)
        self._directory = _open_directory(partial)
        try:
            self._run_initdb(partial)
            partial.rename(self.cluster)
        finally:
            os.close(self._directory)
            self._directory = None
            shutil.rmtree(partial, ignore_errors=True)  # after a failure, for example on a full disk

    def _run_initdb(self, folder: Path) -> None:
        command = [str(find_program("initdb")), "--pgdata", self._path_for_server(folder), "--username", USER]
        command += [
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
            f"--set=max_connections={DEFAULT_CONNECTIONS}",
        ]
        result = subprocess.run(  # type: ignore[call-overload]
            command, capture_output=True, text=True, check=False, **self._spawn_arguments()
        )
        if result.returncode:
            raise ConfigurationError(f"initdb failed in {folder}: {' '.join(result.stderr.split())[-500:]}")

    def _path_for_server(self, folder: Path) -> str:
        return str(folder) if reachable_by_server(folder.parent) else f"/proc/self/fd/{self._directory}"

    def _spawn_arguments(self) -> dict[str, object]:
        user = server_user()
        identity: dict[str, object] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        return {
            "cwd": "/",
            "env": {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"},
            "pass_fds": [self._directory],
            **identity,
        }

    # -- the server's process --------------------------------------------------------------------------------------

    async def _spawn(self) -> None:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": ".",  # relative to the data directory, whose mode is 0700
            "unix_socket_permissions": "0700",
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            **({"max_connections": str(self._connections)} if self._connections > DEFAULT_CONNECTIONS else {}),
            "log_timezone": "UTC",
            "timezone": "UTC",
        }
        command = [str(await asyncio.to_thread(find_program, "postgres")), "-D", self._path_for_server(self.cluster)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with self.log_file.open("ab") as output:
            self._log_offset = output.tell()
            # Not in a thread: the kernel sends the parent-death signal when the *thread* that forked ends.
            # preexec_fn makes only one system call.
            self._process = subprocess.Popen(  # type: ignore[call-overload] # noqa: ASYNC220
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,  # Ctrl-C must not reach the server before the requests have drained
                preexec_fn=_set_parent_death_signal,  # noqa: PLW1509
                **self._spawn_arguments(),
            )
        await self._wait_until_ready()

    async def _wait_until_ready(self) -> None:
        """Wait until the server accepts connections, which crash recovery may delay."""
        assert self._process
        while True:
            if self._process.poll() is not None:
                with self.log_file.open(errors="replace") as file:
                    file.seek(self._log_offset)
                    tail = file.read().strip().splitlines()[-3:]
                raise ConfigurationError(f"Postgres did not start in {self.cluster}: {' | '.join(tail)}")
            if ready_pid(self.cluster) == self._process.pid:
                return
            await asyncio.sleep(0.02)

    async def _supervise(self) -> None:
        """Restart the server when it exits, with exponential backoff while restarts fail."""
        pause: float = _FIRST_RESTART_PAUSE_SECONDS
        while True:
            assert self._process
            code = await asyncio.to_thread(self._process.wait)
            log.error("postgres.died", exit_code=code)
            while True:
                try:
                    await asyncio.to_thread(stop_orphan, self.cluster)
                    await self._spawn()
                    break
                except (ConfigurationError, OSError) as error:
                    log.error("postgres.restart_failed", error=str(error), retry_in=pause)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _MAX_RESTART_PAUSE_SECONDS)
            pause = _FIRST_RESTART_PAUSE_SECONDS
            log.info("postgres.restarted", pid=self._process.pid)


def _open_directory(path: Path) -> int:
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _set_parent_death_signal() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
