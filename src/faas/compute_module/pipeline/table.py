"""Tables of text: CSV and JSON Lines, read and written row by row."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

import msgspec

from faas.compute_module.errors import InvalidTable
from faas.compute_module.pipeline.rows import COLUMNS, Row
from faas.compute_module.redaction import redact_message, shorten

_MAX_FIELD_CHARACTERS = 64 << 20  # the csv module's own limit of 131072 is too small for audit columns
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAX_SHOWN_HEADER_BYTES = 256
_MAX_SHOWN_COLUMNS = 256


def is_json_lines(path: Path) -> bool:
    """Return whether the file extension is one of JSON Lines; any other is CSV."""
    return path.suffix.lower() in {".jsonl", ".ndjson"}


def read_csv(path: Path, label: str) -> Iterator[Sequence[str]]:
    """Return the records of a CSV file, the header first, without empty lines.

    UTF-8, with or without a byte order mark; any line ending. Raises InvalidTable, which names the table `label`, for
    an empty file, malformed quoting, another encoding, and a record with more or fewer fields than the header.
    """
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    width = 0
    # The decoder reads ahead of the lines, so bytes that are not UTF-8 are found in the line instead (_check_utf8).
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = csv.reader(_check_utf8(file, label), strict=True)
        while True:
            first = lines.line_num + 1  # of the record, which may have several lines
            try:
                fields = next(lines, None)
            except csv.Error as error:
                last = max(first, lines.line_num)
                begin = f", in the record that begins in line {first}" if last > first else ""
                raise InvalidTable(f"{label}: line {last} is not CSV: {error}{begin}") from None
            if fields is None:
                break
            if not fields or (width != 1 and len(fields) == 1 and not fields[0].strip()):
                continue
            width = width or len(fields)
            if len(fields) != width:
                raise InvalidTable(f"{label}: line {first} has {len(fields)} fields where the header has {width}")
            yield fields
    if not width:
        raise InvalidTable(f"{label}: empty; a header with a column named email is needed")


def _check_utf8(lines: Iterable[str], label: str) -> Iterator[str]:
    """Return the lines of a file that was opened with `surrogateescape`. Raises InvalidTable for other encodings."""
    for number, line in enumerate(lines, 1):
        try:
            line.encode()
        except UnicodeEncodeError as error:
            raise _not_utf8(label, number, error.start, ord(line[error.start]) & 0xFF) from None
        yield line


def _not_utf8(label: str, line: int, characters_before: int, byte: int) -> InvalidTable:
    return InvalidTable(f"{label}: not UTF-8 text in line {line}, column {characters_before + 1}: byte 0x{byte:02x}")


def read_emails(path: Path, label: str, *, json_lines: bool = False) -> Iterator[str]:
    """Return the trimmed address of each row of a table, "" where it is blank.

    The column is the first whose trimmed, case-folded name is `email`; in JSON Lines each line has its own fields, and
    the first of these that is not blank counts. Raises InvalidTable with the columns found when there is none in the
    header, or in any line, and for the same reasons as `read_csv`.
    """
    if json_lines:
        yield from _read_json_lines_emails(path, label)
        return
    lines = read_csv(path, label)
    header = next(lines)
    index = _email_index(header, label)
    for fields in lines:
        yield fields[index].strip()


def _read_json_lines_emails(path: Path, label: str) -> Iterator[str]:
    """Return the address of each line. The columns are the fields of all lines, in any order of the lines."""
    columns: dict[str, None] = {}  # an ordered set
    is_empty, is_named = True, False
    with path.open("rb") as file:
        for number, raw_line in enumerate(file, 1):
            line = raw_line.removeprefix(_BYTE_ORDER_MARK)  # also where files were concatenated
            if not line.strip():
                continue
            try:
                record = msgspec.json.decode(line.strip())
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise _not_json(line, label, number) from None
            if not isinstance(record, dict):
                raise InvalidTable(f"{label}: line {number} is not a JSON object")
            values = [value for name, value in record.items() if _is_email_column(name)]
            if any(value is not None and not isinstance(value, str) for value in values):
                raise InvalidTable(f"{label}: line {number}: the value of email is not text")
            is_empty = False
            is_named = is_named or bool(values)
            if not is_named and len(columns) < _MAX_SHOWN_COLUMNS:
                columns |= dict.fromkeys(record)
            # `Email` and `email` may be in one line; the order of the fields of an object means nothing.
            yield next((trimmed for value in values if value and (trimmed := value.strip())), "")
    if is_empty:
        raise InvalidTable(f"{label}: empty; lines with an email field are needed")
    if not is_named:
        raise _no_email_column(list(columns), label)


def _not_json(line: bytes, label: str, number: int) -> InvalidTable:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return _not_utf8(label, number, len(line[: error.start].decode()), line[error.start])
    return InvalidTable(f"{label}: line {number} is not JSON")


def _is_email_column(name: str) -> bool:
    return name.strip().casefold() == "email"


def _email_index(header: Sequence[str], label: str) -> int:
    for index, name in enumerate(header):
        if _is_email_column(name):
            return index
    raise _no_email_column(header, label)


def _no_email_column(header: Sequence[str], label: str) -> InvalidTable:
    columns = ", ".join(name.strip() or '""' for name in header) or "(none)"
    found = redact_message(shorten(columns, _MAX_SHOWN_HEADER_BYTES))
    return InvalidTable(f"{label}: no column is named email; the columns are: {found}")


def read_rows(path: Path, label: str) -> Iterator[Row]:
    """Return the rows of the output of an earlier run. Raises InvalidTable when one of the columns is missing."""
    lines = read_csv(path, label)
    header = [name.strip() for name in next(lines)]
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise InvalidTable(f"{label}: not written by this program: the columns {', '.join(missing)} are missing")
    order = [header.index(column) for column in COLUMNS]
    for fields in lines:
        yield Row(*[fields[index] for index in order])


class CSVWriter(Protocol):
    """The interface of the csv module's writers, whose class is not public."""

    def writerow(self, row: Iterable[Any], /) -> Any:
        """Write one record."""


class _LineFeedFile:
    """A file that replaces the \\r\\n at the end of each line by \\n."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        return self._file.write(line[:-2] + "\n")


def csv_writer(file: TextIO) -> CSVWriter:
    """Return a writer with minimal quoting and \\n line endings.

    With \\n as its line terminator, the csv module before Python 3.13 does not quote a field with a lone \\r, which
    readers take for the end of a line. With \\r\\n it quotes both characters, so the terminator is replaced afterwards.
    """
    return csv.writer(_LineFeedFile(file), lineterminator="\r\n")


def write_rows(path: Path, rows: Iterable[Row], *, json_lines: bool = False) -> int:
    """Write `rows` to `path`, as CSV with a header or as JSON Lines, and return their number."""
    count = 0
    if json_lines:
        with path.open("wb") as lines:
            for row in rows:
                lines.write(msgspec.json.encode(msgspec.structs.asdict(row)) + b"\n")
                count += 1
        return count
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv_writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow(msgspec.structs.astuple(row))
            count += 1
    return count
