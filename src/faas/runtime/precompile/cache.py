"""The cache of native code on disk: after a restart, modules need not be precompiled again.

Native code from a file runs in the server. So a file counts only if it and its folder belong to this user, no other
user may write them, it was made for this very engine, and its digest is intact. Everything else is a miss, never an
error: a full or read-only disk disables the cache, and executions go on.
"""

import hashlib
import os
import platform
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import BinaryIO

import structlog

from faas.runtime.precompile.sealed_code import SealedCode

log = structlog.get_logger()

MAX_CACHE_BYTES = 512 << 20  # of all files together; the least recently used are deleted first
_MEASURED_SHARE = 16  # a folder is measured again when a sixteenth of what it may have was written
_SUFFIX = ".cwasm"
_DIGEST_BYTES = hashlib.sha256().digest_size


class NativeCodeCache:
    """One file for each module in `folder`, which is made when it is first needed.

    `engine` is the configuration of the engine that the native code is for. Where several caches share a folder, each
    may exceed `max_bytes` by a sixteenth. Thread-safe.
    """

    def __init__(self, folder: Path, engine: str, max_bytes: int = MAX_CACHE_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        version = f"{metadata.version('wasmtime')} {platform.machine()} {engine}"
        self._engine = hashlib.sha256(version.encode()).hexdigest()[:16]
        self._enabled = True
        self._written_bytes = 0  # since the folder was measured
        self._writable_bytes = 0  # until it is measured again

    def get(self, digest: bytes) -> bytes | None:
        """Return the native code of the module with this SHA-256 `digest`, or None."""
        try:
            with self._opened(digest) as file:
                content = file.read()
        except OSError:
            return None
        native_code = content[_DIGEST_BYTES:]
        return native_code if hashlib.sha256(native_code).digest() == content[:_DIGEST_BYTES] else None

    def get_sealed(self, digest: bytes) -> SealedCode | None:
        """Return the same in sealed memory, or None. What is compared with its digest is what is sealed already."""
        try:
            with self._opened(digest) as file:
                expected = file.read(_DIGEST_BYTES)
                sealed = SealedCode.copy_of(file.fileno(), _DIGEST_BYTES)
        except OSError:
            return None
        if sealed.digest() == expected:
            return sealed
        sealed.close()
        return None

    def has(self, digest: bytes) -> bool:
        """Return whether there is a file for this module; `get` may still find that it is damaged."""
        try:
            return self._path(digest).exists()
        except OSError:  # another user's folder
            return False

    def put(self, digest: bytes, native_code: bytes) -> None:
        """Keep the native code of a module. A concurrent reader sees the whole file or none."""
        if not self._enabled:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_folder()
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                try:
                    file.write(hashlib.sha256(native_code).digest() + native_code)
                    file.close()
                    Path(file.name).replace(self._path(digest))
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
            self._written_bytes += _DIGEST_BYTES + len(native_code)
            # Not for each file: thousands of them would take tens of milliseconds of the GIL for each deploy.
            if self._written_bytes > self._writable_bytes:
                self._evict()
        except OSError as error:
            self._enabled = False  # until the next start
            log.warning("native_code_cache.disabled", folder=str(self._folder), error=str(error))

    @contextmanager
    def _opened(self, digest: bytes) -> Iterator[BinaryIO]:
        """Open the file of a module. Raises OSError where there is none, or one that another user may write."""
        self._check_folder()
        descriptor = os.open(self._path(digest), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            if not _only_ours(os.fstat(descriptor)):
                raise PermissionError(f"{self._path(digest)} can be written by other users or belongs to another user")
            yield file
            with suppress(OSError):  # a read-only disk
                os.utime(descriptor)

    def _path(self, digest: bytes) -> Path:
        return self._folder / f"{digest.hex()}-{self._engine}{_SUFFIX}"

    def _check_folder(self) -> None:
        if not _only_ours(self._folder.lstat()):
            raise PermissionError(f"{self._folder} can be written by other users or belongs to another user")

    def _evict(self) -> None:
        """Measure the folder. Where it exceeds the limit, delete the least recently used files, and a few more.

        Deleting more than the excess leaves space, so that a full folder is not measured for each file.
        """
        written = self._written_bytes
        files = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                found = path.stat()
                files.append((found.st_mtime, found.st_size, path))
        total = sum(file[1] for file in files)
        space = self._max_bytes // _MEASURED_SHARE
        if total > self._max_bytes:
            for _, size, path in sorted(files):
                if total <= self._max_bytes - space:
                    break
                path.unlink(missing_ok=True)
                total -= size
        self._writable_bytes = max(0, min(self._max_bytes - total, space))
        self._written_bytes -= written


def _only_ours(found: os.stat_result) -> bool:
    """Return True if the file belongs to this user and no other user may write it."""
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
