"""Native code kept on disk, so that a restart need not translate what was translated before.

Whoever can write native code can run it in the server: a file is taken only from a folder and with an owner that are
this user's alone, for this very engine, and with its digest intact. Everything else is a miss, never an error; a disk
that is full or read-only costs the cache, not the call.
"""

import hashlib
import os
import platform
import stat
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import structlog

log = structlog.get_logger()

_LARGEST = 512 << 20  # bytes of all files together; the ones used least recently go first
_SUFFIX = ".cwasm"
_DIGEST = hashlib.sha256().digest_size


class ArtifactCache:
    """Files in `folder`, one for each module, which it makes when it is first needed. `engine` is its configuration."""

    def __init__(self, folder: Path, engine: str, largest: int = _LARGEST) -> None:
        self._folder = folder
        self._largest = largest
        version = f"{metadata.version('wasmtime')} {platform.machine()} {engine}"
        self._engine = hashlib.sha256(version.encode()).hexdigest()[:16]
        self._usable = True

    def get(self, digest: bytes) -> bytes | None:
        """The native code of the module with this SHA-256 `digest`, if it is here."""
        try:
            self._check_folder()
            descriptor = os.open(self._path(digest), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
                if not _is_ours(os.fstat(descriptor)):
                    return None
                content = file.read()
                with suppress(OSError):  # a disk that is read-only
                    os.utime(descriptor)
        except OSError:
            return None
        code = content[_DIGEST:]
        return code if hashlib.sha256(code).digest() == content[:_DIGEST] else None

    def put(self, digest: bytes, code: bytes) -> None:
        """Keep `code`. A reader sees all of it or nothing."""
        if not self._usable:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_folder()
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                try:
                    file.write(hashlib.sha256(code).digest() + code)
                    file.close()
                    Path(file.name).replace(self._path(digest))
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
            self._trim()
        except OSError as error:
            self._usable = False  # until the next start
            log.warning("artifact_cache.off", folder=str(self._folder), error=str(error))

    def _path(self, digest: bytes) -> Path:
        return self._folder / f"{digest.hex()}-{self._engine}{_SUFFIX}"

    def _check_folder(self) -> None:
        if not _is_ours(self._folder.lstat()):
            raise PermissionError(f"{self._folder} can be written by others, or is not this user's")

    def _trim(self) -> None:
        files = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                found = path.stat()
                files.append((found.st_mtime, found.st_size, path))
        size = sum(file[1] for file in files)
        for _, bytes_used, path in sorted(files):
            if size <= self._largest:
                break
            path.unlink(missing_ok=True)
            size -= bytes_used


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
