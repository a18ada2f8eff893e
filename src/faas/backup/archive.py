"""The file: a zip archive with an entry for each table and the manifest last, which any unzip can list and test."""

import asyncio
import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, cast

import msgspec

from faas.backup import manifest as manifests
from faas.backup.manifest import Manifest, Table
from faas.errors import BackupFailed, ConfigurationError

MANIFEST = "manifest.json"
_CHUNK = 1 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError)


class Entry:
    """One table's rows on their way into the archive: counted, hashed and compressed outside the event loop."""

    def __init__(self, member: IO[bytes]) -> None:
        self._member = member
        self._hash = hashlib.sha256()
        self._waiting = bytearray()
        self.bytes = 0

    async def write(self, data: bytes) -> None:
        """Take some bytes. Raises BackupFailed when the file does not."""
        self._waiting += data
        if len(self._waiting) >= _CHUNK:
            await self.flush()

    async def flush(self) -> None:
        """Pass on what waits."""
        chunk, self._waiting = bytes(self._waiting), bytearray()
        self._hash.update(chunk)
        self.bytes += len(chunk)
        with _writing():
            await asyncio.to_thread(self._member.write, chunk)

    @property
    def sha256(self) -> str:
        """Of all that was flushed."""
        return self._hash.hexdigest()


class ArchiveWriter:
    """Writes an archive to `stream`, which need not be seekable. Use as `with`; `finish` comes last."""

    def __init__(self, stream: BinaryIO) -> None:
        # Level 1: executions shrink well, modules hardly, and the server has the same processors.
        self._zip = zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1)

    def __enter__(self) -> "ArchiveWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            with _writing():
                self._zip.close()
        else:
            with suppress(OSError, ValueError):
                self._zip.close()

    @contextmanager
    def entry(self, name: str) -> Iterator[Entry]:
        """A new entry to write to."""
        member = self._zip.open(name, "w", force_zip64=True)
        try:
            yield Entry(member)
        except BaseException:
            with suppress(OSError):
                member.close()
            raise
        with _writing():
            member.close()

    def finish(self, manifest: Manifest) -> None:
        """Add the manifest, without which the file is no backup."""
        with _writing():
            self._zip.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupFailed(f"cannot write the backup: {error.strerror}; nothing is left of it") from None


class Archive:
    """A backup to read. Use as `with`. Raises ConfigurationError for what is no backup, is cut short or newer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
        except _DAMAGED:
            raise ConfigurationError(f"{path} is no backup of faas, or was cut short") from None
        try:
            with self._reading():
                content = self._zip.read(MANIFEST)
            try:
                self.manifest = manifests.decode(content)
            except ConfigurationError as error:
                raise ConfigurationError(f"cannot restore {path}: {error}") from None
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._zip.close()

    def verify(self) -> None:
        """Read everything and compare it with the manifest, before anything is made of it."""
        for table in self.manifest.tables:
            with self._reading(), self.open(table) as member:
                digest = hashlib.sha256()
                size = 0
                while chunk := member.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
            if (size, digest.hexdigest()) != (table.bytes, table.sha256):
                raise ConfigurationError(f"{self._path} is damaged: {table.entry} is not what its manifest says")

    def open(self, table: Table) -> BinaryIO:
        """The rows of `table`."""
        return cast("BinaryIO", self._zip.open(table.entry))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BackupFailed(f"cannot read {self._path}: {error.strerror}") from None
        except _DAMAGED as error:
            raise ConfigurationError(f"{self._path} is damaged, or no backup of faas: {error}") from None
