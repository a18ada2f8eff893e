"""The file of the key that seals secrets: read when it is needed, made once, and never overwritten."""

import asyncio
import os
import stat
import tempfile
from pathlib import Path

import structlog

from faas.errors import SecretKeyUnavailable
from faas.secret_store.sealing import KEY_BYTES, SealingKey

log = structlog.get_logger()

SETTING = "FAAS_SECRET_KEY_FILE"
# A group may read it, as in a Kubernetes volume with an fsGroup (mode 0440); other users may not.
_FORBIDDEN_MODE = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO


def read_key(path: Path) -> SealingKey | None:
    """Return the key in `path`, None where there is no such file. Raises SecretKeyUnavailable. Blocks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe does not keep it waiting
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SecretKeyUnavailable(f"{SETTING} cannot be read: {error.strerror}") from None
    try:
        _check_mode(os.fstat(descriptor).st_mode)
        key = os.read(descriptor, KEY_BYTES + 1)
    except OSError as error:
        raise SecretKeyUnavailable(f"{SETTING} cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(key) != KEY_BYTES:
        size = f"{len(key)}" if len(key) < KEY_BYTES else f"more than {KEY_BYTES}"
        raise SecretKeyUnavailable(f"{SETTING} has {size} bytes; a key has exactly {KEY_BYTES}")
    return SealingKey(key)


def _check_mode(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise SecretKeyUnavailable(f"{SETTING} is not a file")
    if mode & _FORBIDDEN_MODE:
        raise SecretKeyUnavailable(
            f"{SETTING} has the mode {stat.S_IMODE(mode):04o}, with which other users may read or change it; "
            "make it 0600 (chmod 600), at most 0640"
        )


def make_key(path: Path) -> SealingKey:
    """Make a key in the new file `path`, with mode 0600 and on disk, and return it. Raises SecretKeyUnavailable.

    Where the file exists, which another process may have made now, its key is returned. Blocks.
    """
    key, content = SealingKey.generate()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _publish(path, content)
    except OSError as error:
        if isinstance(error, FileExistsError) and (found := read_key(path)) is not None:
            return found
        raise SecretKeyUnavailable(
            f"{SETTING} cannot be made: {error.strerror}; make it with `head -c {KEY_BYTES} /dev/urandom`, mode 0600"
        ) from None
    log.info("secret_key.made", file=str(path), key_id=key.id)
    return key


def _publish(path: Path, content: bytes) -> None:
    """Write a file with mode 0600, which is at `path` when all of it is on disk. Raises OSError, also if one is there.

    A link, unlike a rename, never replaces a key.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Keyring:
    """The key of this installation, in the file `path`.

    A key that was read stays in memory, so that executions go on when the file is gone; /health then says so.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: SealingKey | None = None

    async def read(self) -> SealingKey | None:
        """Return the key that the file has now, None where there is no file. Raises SecretKeyUnavailable."""
        found = await asyncio.to_thread(read_key, self._path)
        self._known = found or self._known
        return found

    async def make(self) -> SealingKey:
        """Make the key, where there is no file. Raises SecretKeyUnavailable."""
        self._known = await asyncio.to_thread(make_key, self._path)
        return self._known

    async def find(self, key_id: str) -> SealingKey | None:
        """Return the key with this id, None where the file has another one or none. Raises SecretKeyUnavailable.

        The file is read when the key in memory is another one, so that one that was put there is found.
        """
        if self._known is None or self._known.id != key_id:
            await self.read()
        return self._known if self._known is not None and self._known.id == key_id else None
