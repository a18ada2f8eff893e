"""The token that the commands send: that of FAAS_TOKEN, else the first line of a file that only its user can read."""

import os
import stat
from pathlib import Path

import msgspec

from faas import settings
from faas.access import token_text
from faas.errors import ConfigurationError

_MAX_BYTES = 4096
_FORM = "accepted is faas_… as `faas token create` prints it"


class Credentials(msgspec.Struct, frozen=True):
    """The token of the commands, None for none. `origin` says where it is from, or why there is none."""

    token: str | None
    origin: str

    def __repr__(self) -> str:
        return f"Credentials({'none' if self.token is None else '…'}, {self.origin!r})"


def find_credentials() -> Credentials:
    """Return the token of FAAS_TOKEN, or of the file `~/.config/faas/token`. An empty one counts as none.

    Raises ConfigurationError for what is not a token, and for a file that others can read; it does not show a token.
    """
    if text := settings.token_variable():
        return Credentials(_check(text.strip(), "FAAS_TOKEN"), "FAAS_TOKEN")
    path = settings.token_file()
    if path is None:
        return Credentials(None, "FAAS_TOKEN is not set")
    try:
        line = _read_first_line(path)
    except (FileNotFoundError, NotADirectoryError):
        return Credentials(None, f"FAAS_TOKEN is not set, and there is no {path}")
    except PermissionError:  # for example below the home directory of the user that called sudo
        return Credentials(None, f"FAAS_TOKEN is not set, and {path} cannot be read: Permission denied")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    if not line:
        return Credentials(None, f"FAAS_TOKEN is not set, and {path} is empty")
    return Credentials(_check(line, str(path)), str(path))


def _read_first_line(path: Path) -> str:
    # O_NONBLOCK: a named pipe is refused without waiting for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode  # of the file that is read
        if not stat.S_ISREG(mode):
            raise ConfigurationError(f"{path} is not a file; it is to contain a token")
        if mode & 0o077:
            raise ConfigurationError(
                f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}), and its token is not used: "
                f"chmod 600 {path}"
            )
        return os.read(descriptor, _MAX_BYTES).partition(b"\n")[0].decode("utf-8", "replace").strip()
    finally:
        os.close(descriptor)


def _check(text: str, origin: str) -> str:
    if token_text.parse(text) is None:
        raise ConfigurationError(f"{origin} does not contain a token (it is not shown here); {_FORM}")
    return text
