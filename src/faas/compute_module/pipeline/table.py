"""Tables of text: CSV and JSON Lines, read and written row by row."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

import msgspec

from faas.compute_module.errors import InvalidTable
from faas.compute_module.pipeline.rows import COLUMNS, Row
from faas.compute_module.redaction import redact_message, shorten

_FIELD_LIMIT = 64 << 20  # characters in one field; csv's own limit of 131072 is too small for audit columns


def is_json_lines(path: Path) -> bool:
    """Whether the name says JSON Lines; any other name is CSV."""
    return path.suffix.lower() in {".jsonl", ".ndjson"}


def read_csv(path: Path, what: str) -> Iterator[Sequence[str]]:
    """The lines of a CSV file as fields, the header first. Lines that are wholly empty are left out.

    UTF-8, with or without a byte order mark; any line ending. Raises InvalidTable, which calls the table `what`, for an
    empty file, wrong quoting, wrong encoding, and a line that has more or fewer fields than the header.
    """
    csv.field_size_limit(_FIELD_LIMIT)
    width = 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        try:
            for fields in lines:
                if not fields or (width > 1 and len(fields) == 1 and not fields[0].strip()):
                    continue
                width = width or len(fields)
                if len(fields) != width:
                    raise InvalidTable(
                        f"{what}: line {lines.line_num} has {len(fields)} fields where the header has {width}"
                    )
                yield fields
        except csv.Error as error:
            raise InvalidTable(f"{what}: line {lines.line_num} is not CSV: {error}") from None
        except UnicodeDecodeError:
            raise InvalidTable(f"{what}: not UTF-8 text, after line {lines.line_num}") from None
    if not width:
        raise InvalidTable(f"{what}: empty; a header with a column named email is needed")


def read_emails(path: Path, what: str, *, json_lines: bool = False) -> Iterator[str]:
    """The trimmed address of each row of a table, "" where it is blank.

    The column is the first whose trimmed, case-folded name is `email`. Raises InvalidTable, naming the columns found,
    when there is none, and as `read_csv` does.
    """
    if json_lines:
        yield from _read_json_lines_emails(path, what)
        return
    lines = read_csv(path, what)
    header = next(lines)
    index = _email_index(header, what)
    for fields in lines:
        yield fields[index].strip()


def _read_json_lines_emails(path: Path, what: str) -> Iterator[str]:
    empty = True
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            text = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
            if not text:
                continue
            try:
                record = msgspec.json.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise InvalidTable(f"{what}: line {number} is not JSON") from None
            if not isinstance(record, dict):
                raise InvalidTable(f"{what}: line {number} is not a JSON object")
            names = list(record)
            if empty:
                _email_index(names, what)
                empty = False
            value = next((record[name] for name in names if name.strip().casefold() == "email"), None)
            if value is not None and not isinstance(value, str):
                raise InvalidTable(f"{what}: line {number}: the value of email is not text")
            yield (value or "").strip()
    if empty:
        raise InvalidTable(f"{what}: empty; lines with an email field are needed")


def _email_index(header: Sequence[str], what: str) -> int:
    for index, name in enumerate(header):
        if name.strip().casefold() == "email":
            return index
    found = redact_message(shorten(", ".join(name.strip() or '""' for name in header), 256))
    raise InvalidTable(f"{what}: no column is named email; the columns are: {found}")


def read_rows(path: Path, what: str) -> Iterator[Row]:
    """The rows of a table that an earlier run wrote. Raises InvalidTable when one of the eleven columns is missing."""
    lines = read_csv(path, what)
    header = [name.strip() for name in next(lines)]
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise InvalidTable(f"{what}: not written by this program: the columns {', '.join(missing)} are missing")
    order = [header.index(column) for column in COLUMNS]
    for fields in lines:
        yield Row(*[fields[index] for index in order])


class CSVWriter(Protocol):
    """What the csv module's writers are, which has no public name."""

    def writerow(self, row: Iterable[Any], /) -> Any:
        """Write one line."""


class _LineFeeds:
    """Ends the lines that the csv module writes with \\n instead of \\r\\n."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        return self._file.write(line[:-2] + "\n")


def csv_writer(file: TextIO) -> CSVWriter:
    """Writes lines that end with \\n, quoted only where they must be, which includes a lone \\r.

    Told itself to end lines with \\n, the csv module leaves a lone \\r bare before Python 3.13, which is then read as
    the end of a line; told \\r\\n, it quotes both.
    """
    return csv.writer(_LineFeeds(file), lineterminator="\r\n")


def write_rows(path: Path, rows: Iterable[Row], *, json_lines: bool = False) -> int:
    """Write `rows` to `path`, with a header and `\\n` line endings for CSV; returns how many there were."""
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
