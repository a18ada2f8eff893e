"""Rows in a temporary file, found again by their offset, so that memory need not hold them."""

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from faas.compute_module.pipeline.rows import Row

_LENGTH_BYTES = 4  # before each row


class RowSpool:
    """An unnamed temporary file of rows that only grows; a context manager.

    Not safe for concurrent calls: a run appends from one task and reads from one thread at a time.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, prefix="faas-rows-")  # noqa: SIM115 - closed by __exit__
        self._end = 0
        self._unflushed = False
        self._decoder = msgspec.msgpack.Decoder(Row)
        self._encoder = msgspec.msgpack.Encoder()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, row: Row) -> int:
        """Write `row` and return its offset."""
        encoded = self._encoder.encode(row)
        offset = self._end
        self._file.write(len(encoded).to_bytes(_LENGTH_BYTES) + encoded)
        self._end += _LENGTH_BYTES + len(encoded)
        self._unflushed = True
        return offset

    def read(self, offset: int) -> Row:
        """Return the row at `offset`, which `append` returned."""
        if self._unflushed:
            self._file.flush()
            self._unflushed = False
        descriptor = self._file.fileno()
        length = int.from_bytes(os.pread(descriptor, _LENGTH_BYTES, offset))
        return self._decoder.decode(os.pread(descriptor, length, offset + _LENGTH_BYTES))
