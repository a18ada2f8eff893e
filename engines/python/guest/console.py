"""Standard output and standard error: each line is a line of the execution's logs."""

import io
import sys
from typing import Any

import _faas_host

_OUTPUT, _ERROR = 0, 4  # levels of the host's log


class Console(io.TextIOBase):
    """A text stream whose lines go to the host's log."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level
        self._line = ""
        self.buffer = _Bytes(self)

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return False."""
        return False

    def write(self, text: str) -> int:
        """Log each complete line, and keep the rest."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._line += text
        if "\n" in text:
            *lines, self._line = self._line.split("\n")
            for line in lines:
                self._log(line)
        return len(text)

    def end_line(self) -> None:
        """Log a line that has begun."""
        if self._line:
            line, self._line = self._line, ""
            self._log(line)

    def log_record(self, level: int, text: str) -> None:
        """Log the lines of a text at a level of its own."""
        self.end_line()
        for line in text.split("\n"):
            self._log(line, level)

    def _log(self, line: str, level: int | None = None) -> None:
        if not line.isascii():
            line = line.encode("utf-8", "backslashreplace").decode()
        _faas_host.log(self._level if level is None else level, line)


class _Bytes(io.RawIOBase):
    """The binary side of a console."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._console.write(bytes(data).decode("utf-8", "backslashreplace"))
        return len(data)


output, error = Console(_OUTPUT), Console(_ERROR)


def install() -> None:
    """Make the consoles the standard streams."""
    sys.stdout = sys.__stdout__ = output  # type: ignore[assignment,misc]
    sys.stderr = sys.__stderr__ = error  # type: ignore[assignment,misc]
    sys.stdin = sys.__stdin__ = io.StringIO()  # type: ignore[assignment,misc]


def end_lines() -> None:
    """Log the lines that have begun."""
    if output._line or error._line:
        output.end_line()
        error.end_line()
