"""The records of a stream, whatever envelope they come in.

Versions of the stream-proxy differ: an array of records, an object with the array under one of several names, and
records that are themselves wrapped. There are no pages: an answer holds all records, so it stays on disk, mapped into
memory, and one record at a time is decoded.
"""

import mmap
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from faas.compute_module.errors import InvalidTable
from faas.compute_module.foundry.failure import excerpt
from faas.compute_module.pipeline.rows import COLUMNS, Row

Buffer = bytes | mmap.mmap | msgspec.Raw
T = TypeVar("T")

ENVELOPES = ("records", "values", "data", "items", "result")
WRAPPERS = ("record", "value", "data")
_DEPTH = 32  # envelopes inside envelopes; more is no answer of a stream-proxy
_WHAT = "stream records"
_FIRST = re.compile(rb"[ \t\r\n]*([^ \t\r\n])")
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def read_records_file(path: Path) -> Iterator[Row]:
    """The rows in an answer that was written to `path`. Raises InvalidTable."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise InvalidTable(f"{_WHAT}: the answer is empty")
        yield from read_records(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def read_records(body: Buffer) -> Iterator[Row]:
    """The rows in an answer. Items that are no objects are left out; values that are no text count as blank.

    Raises InvalidTable when it is not JSON or has no array of records.
    """
    for item in find_records(body):
        try:
            record = msgspec.json.decode(item)
        except _UNREADABLE:
            raise InvalidTable(f"{_WHAT}: a record is not JSON: {excerpt(bytes(item))}") from None
        if isinstance(record, Mapping):
            unwrapped = unwrap(record)
            yield Row(*[value if isinstance(value := unwrapped.get(name), str) else "" for name in COLUMNS])


def find_records(body: Buffer) -> list[msgspec.Raw]:
    """The items, not decoded, of the one array in `body` that holds the records. Raises InvalidTable."""
    found = _find(body, 0)
    if found is None:
        raise InvalidTable(f"{_WHAT}: the answer holds no array of records: {_beginning(body)}")
    return found


def unwrap(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record itself: what is under the first of the wrapping names that holds an object, one level deep."""
    for name in WRAPPERS:
        inner = item.get(name)
        if isinstance(inner, Mapping):
            return inner
    return item


def _find(body: Buffer, depth: int) -> list[msgspec.Raw] | None:
    kind = _kind(body)
    if kind == b"[":
        return _decode(body, list[msgspec.Raw])
    if depth > _DEPTH:
        return None
    if kind != b"{":
        if depth == 0:
            _decode(body, msgspec.Raw)
        return None
    fields = _decode(body, dict[str, msgspec.Raw])
    for name in ENVELOPES:
        if name in fields and (found := _find(fields[name], depth + 1)) is not None:
            return found
    for value in fields.values():
        if _kind(value) == b"[":
            items = _decode(value, list[msgspec.Raw])
            if any(_kind(item) == b"{" for item in items):
                return items
    return None


def _kind(body: Buffer) -> bytes:
    """The first character of a JSON value, which tells objects and arrays from the rest."""
    found = _FIRST.match(memoryview(body))
    return found[1] if found else b""


def _decode(body: Buffer, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except _UNREADABLE:
        raise InvalidTable(f"{_WHAT}: the answer is not JSON: {_beginning(body)}") from None


def _beginning(body: Buffer) -> str:
    return excerpt(bytes(memoryview(body)[: 1 << 14])) or "(empty)"
