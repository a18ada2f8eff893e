"""The output file of a backup: readable by its owner only, and visible only when it is complete and on disk."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from faas.errors import BackupFailed, ConfigurationError


@contextmanager
def new_file(path: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """Open a new file with mode 0600, which is renamed to `path` when the block ends, and deleted when it raises.

    Raises ConfigurationError when `path` exists and `replace` is false, or when the file cannot be created;
    BackupFailed when it cannot be written.
    """
    if not replace and os.path.lexists(path):
        raise _already_exists(path)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _publish(partial, path, replace=replace)
    except OSError as error:
        raise BackupFailed(f"cannot write {path}: {error.strerror}; nothing was written") from None
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Open standard output as a binary stream. Raises BackupFailed when it cannot be written."""
    try:
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as stream:
            yield stream
    except OSError as error:
        raise BackupFailed(f"cannot write to standard output: {error.strerror}") from None


def _publish(partial: Path, path: Path, *, replace: bool) -> None:
    if replace:
        partial.replace(path)
    else:
        try:
            os.link(partial, path)  # unlike rename, link fails when another process has created the file
        except FileExistsError:
            raise _already_exists(path) from None
        except OSError:  # the file system has no hard links
            partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _already_exists(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path} exists: choose another name, or pass --force to replace it")
