"""An isolated root folder with only glibc, /bin/sh, four devices and dist/faas.

Its network namespace has only loopback; /small is a tmpfs of 20 MB, /noexec is mounted noexec. A process holds the
namespaces (`python enclosure.py ROOT EXECUTABLE`). Requires root.
"""

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

HOMES = {"root": "/root", "nobody": "/home/user"}
_UNPRIVILEGED_UID = 65534
_LOADER = Path("/lib64/ld-linux-x86-64.so.2")
_GLIBC = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libresolv.so.2")
_DEVICES = ("null", "zero", "random", "urandom")
_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000


class Enclosure:
    """The folder `root` as a machine. `close` unmounts everything; the folder remains for assertions."""

    def __init__(self, root: Path, executable: Path, *, glibc: bool = True) -> None:
        self.root = root
        for folder in (
            "bin",
            "lib64",
            "proc",
            "dev/shm",
            "opt",
            "etc",
            "var/cache",
            "var/lib",
            "var/tmp",
            "tmp",
            "root",
            "home/user",
            "small",
            "noexec",
        ):
            (root / folder).mkdir(parents=True)
        for folder in ("tmp", "var/tmp", "dev/shm"):
            (root / folder).chmod(0o1777)
        (root / "root").chmod(0o700)
        os.chown(root / "home/user", _UNPRIVILEGED_UID, _UNPRIVILEGED_UID)
        (root / "etc" / "passwd").write_text(
            f"root:x:0:0::/root:\nnobody:x:{_UNPRIVILEGED_UID}:{_UNPRIVILEGED_UID}::/nonexistent:\n"
        )
        for device in _DEVICES:
            (root / "dev" / device).touch()
        if glibc:
            shutil.copy2("/bin/sh", root / "bin" / "sh")  # initdb starts Postgres by it
            shutil.copy2(_LOADER, root / str(_LOADER)[1:])
            libraries = _LOADER.resolve().parent  # where this machine's loader looks for the others
            (root / str(libraries)[1:]).mkdir(parents=True, exist_ok=True)
            for library in _GLIBC:
                shutil.copy2(libraries / library, root / str(libraries)[1:] / library)
        self.before = self.files()
        command = [sys.executable, __file__, str(root), str(executable)]
        self._holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout
        if self._holder.stdout.readline() != "ready\n":
            raise OSError("cannot create namespaces on this machine")

    def start(
        self, user: str, *arguments: str, one_stream: bool = False, environment: dict[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """Start `/opt/faas ARGUMENTS` in there as `user` (of HOMES), with an empty PATH, `environment` and no more.

        With `one_stream`, what it writes to stderr comes on stdout, too.
        """
        enter = ["/usr/bin/nsenter", f"--target={self._holder.pid}", "--net", "--mount", "--root", "--wd"]
        identity = (
            ["--setuid=0", "--setgid=0"]
            if user == "root"
            else [f"--setuid={_UNPRIVILEGED_UID}", f"--setgid={_UNPRIVILEGED_UID}"]
        )
        return subprocess.Popen(
            [*enter, *identity, "--", "/opt/faas", *arguments],
            env={"PATH": "", "HOME": HOMES[user], **(environment or {})}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT if one_stream else subprocess.PIPE, text=True,
        )  # fmt: skip

    def fetch(self, url: str) -> bytes:
        """What a server in there answers to GET; only from there can it be reached."""
        program = "import sys, urllib.request as r; sys.stdout.buffer.write(r.urlopen(sys.argv[1], timeout=20).read())"
        command = [
            "/usr/bin/nsenter",
            f"--target={self._holder.pid}",
            "--net",
            "--",
            sys.executable,
            "-c",
            program,
            url,
        ]
        return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout

    def files(self) -> set[str]:
        """Every file, folder and link in there."""
        return {f"/{path.relative_to(self.root)}" for path in self.root.rglob("*")}

    def left(self) -> set[str]:
        """Return the new files and folders, without those below a new folder."""
        new = self.files() - self.before
        return {path for path in new if str(Path(path).parent) not in new}

    def close(self) -> None:
        """End the holder: its mounts and its network go with it."""
        self._holder.communicate(timeout=20)


def _hold(root: Path, executable: Path) -> None:
    """Enter new namespaces, mount the root, and hold both until stdin is closed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:  # the loopback interface, up
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))
    mounts = [
        ("--make-rprivate", "/"),
        ("--bind", str(root), str(root)),
        ("-t", "proc", "proc", str(root / "proc")),
        ("--rbind", str(executable.parent), str(root / "opt")),
        ("-o", "remount,bind,ro", str(root / "opt")),
        ("-t", "tmpfs", "-o", "size=20m,mode=755", "small", str(root / "small")),
        ("-t", "tmpfs", "-o", "noexec,mode=755", "noexec", str(root / "noexec")),
        *(("--bind", f"/dev/{device}", str(root / "dev" / device)) for device in _DEVICES),
    ]
    for mount in mounts:
        subprocess.run(["mount", *mount], check=True)
    os.chroot(root)
    os.chdir("/")
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _hold(Path(sys.argv[1]), Path(sys.argv[2]))
