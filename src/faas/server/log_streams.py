"""Standard output and error streams that never fail or block because of their reader."""

import contextlib
import io
import sys
from typing import Any


class LossyLogStream(io.FileIO):
    """A file that drops what cannot be written: a closed pipe, a full disk or a full non-blocking pipe.

    A broken log must neither fail a request nor hold up the shutdown.
    """

    def write(self, data: Any, /) -> int:
        """Write `data` if possible and return its length; short writes return what was written."""
        with contextlib.suppress(OSError):
            written = super().write(data)
            if written is not None:  # None: a non-blocking pipe is full
                return written
        return len(data)


def ignore_broken_log_pipes() -> None:
    """Replace `sys.stdout` and `sys.stderr` with streams that drop what cannot be written."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        raw = LossyLogStream(stream.fileno(), "w", closefd=False)
        setattr(
            sys, name, io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=True)
        )
