"""Rows on disk that are found again by a number, so that memory need not hold them."""

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from faas.compute_module.pipeline.rows import Row

_LENGTH = 4  # bytes before each row


class Spool:
    """An unnamed temporary file of rows; a context manager. Rows are only added, never changed."""

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

    def add(self, row: Row) -> int:
        """Keep `row`; the number is what `read` takes."""
        encoded = self._encoder.encode(row)
        place = self._end
        self._file.write(len(encoded).to_bytes(_LENGTH) + encoded)
        self._end += _LENGTH + len(encoded)
        self._unflushed = True
        return place

    def read(self, place: int) -> Row:
        """The row that `add` gave this number."""
        if self._unflushed:
            self._file.flush()
            self._unflushed = False
        number = self._file.fileno()
        length = int.from_bytes(os.pread(number, _LENGTH, place))
        return self._decoder.decode(os.pread(number, length, place + _LENGTH))
