"""Locks between processes, which the kernel releases when the process that has one dies."""

import fcntl
from types import TracebackType


class FileLock:
    """The lock of one byte of a file, which need not exist in it. Not reentrant; of one thread in each process.

    Closing any descriptor of the file in this process would release it, so there is to be one only.
    """

    def __init__(self, descriptor: int, position: int) -> None:
        self._descriptor = descriptor
        self._position = position

    def __enter__(self) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, self._position)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, self._position)
