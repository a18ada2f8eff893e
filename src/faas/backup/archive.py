"""The backup file: a zip archive with an entry for each table, and the manifest as the last entry."""

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
_CHUNK_BYTES = 1 << 20
_DAMAGE_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError)


class TableEntry:
    """The entry of one table in an archive that is written: counted, hashed and compressed outside the event loop."""

    def __init__(self, member: IO[bytes]) -> None:
        self._member = member
        self._hash = hashlib.sha256()
        self._buffer = bytearray()
        self.bytes = 0

    async def write(self, data: bytes) -> None:
        """Write `data`, buffered. Raises BackupFailed when the file cannot be written."""
        self._buffer += data
        if len(self._buffer) >= _CHUNK_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Write the buffer. Raises BackupFailed when the file cannot be written."""
        chunk, self._buffer = bytes(self._buffer), bytearray()
        self._hash.update(chunk)
        self.bytes += len(chunk)
        with _writing():
            await asyncio.to_thread(self._member.write, chunk)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the flushed bytes, in hexadecimal."""
        return self._hash.hexdigest()


class ArchiveWriter:
    """Writes an archive to `stream`, which need not be seekable: a context manager in which `finish` comes last."""

    def __init__(self, stream: BinaryIO) -> None:
        # Level 1: executions compress well, modules hardly, and the server needs the same processors.
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
    def entry(self, name: str) -> Iterator[TableEntry]:
        """Open a new entry. Raises BackupFailed when the file cannot be written."""
        member = self._zip.open(name, "w", force_zip64=True)
        try:
            yield TableEntry(member)
        except BaseException:
            with suppress(OSError):
                member.close()
            raise
        with _writing():
            member.close()

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest. Without it the archive is not a valid backup."""
        with _writing():
            self._zip.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupFailed(f"cannot write the backup: {error.strerror}; nothing is left of it") from None


class ArchiveReader:
    """Reads the backup at `path`, as a context manager.

    Raises ConfigurationError when the file is not a backup, is truncated, or has a newer format.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
        except _DAMAGE_ERRORS:
            raise ConfigurationError(f"{path} is not a backup of faas, or is truncated") from None
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

    def __enter__(self) -> "ArchiveReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._zip.close()

    def verify(self) -> None:
        """Read all entries and compare them with the manifest. Raises ConfigurationError when the file is damaged."""
        for table in self.manifest.tables:
            with self._reading(), self.open(table) as member:
                digest = hashlib.sha256()
                size = 0
                while chunk := member.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
            if (size, digest.hexdigest()) != (table.bytes, table.sha256):
                raise ConfigurationError(f"{self._path} is damaged: {table.entry} does not match its manifest")

    def open(self, table: Table) -> BinaryIO:
        """Open the entry with the rows of `table`."""
        return cast("BinaryIO", self._zip.open(table.entry))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BackupFailed(f"cannot read {self._path}: {error.strerror}") from None
        except _DAMAGE_ERRORS as error:
            raise ConfigurationError(f"{self._path} is damaged, or not a backup of faas: {error}") from None
