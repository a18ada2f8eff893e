"""The file that a backup becomes: of its owner alone, and there only when it is whole and on the disk."""

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
    """A file, mode 0600, to write; it gets the name `path` when the block ends, and is gone when it raises.

    Raises ConfigurationError when `path` is there already and not to be replaced, or cannot be made.
    """
    if not replace and os.path.lexists(path):
        raise _exists(path)
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
        _name(partial, path, replace=replace)
    except OSError as error:
        raise BackupFailed(f"cannot write {path}: {error.strerror}; nothing was written") from None
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Standard output, for a backup that goes somewhere else."""
    try:
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as stream:
            yield stream
    except OSError as error:
        raise BackupFailed(f"cannot write to standard output: {error.strerror}") from None


def _name(partial: Path, path: Path, *, replace: bool) -> None:
    if replace:
        partial.replace(path)
    else:
        try:
            os.link(partial, path)  # unlike rename it never takes the place of a file that came meanwhile
        except FileExistsError:
            raise _exists(path) from None
        except OSError:  # a file system without links
            partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _exists(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path} exists: choose another name, or --force to replace it")
