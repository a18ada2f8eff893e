"""The records in a response of the stream-proxy, in each of its envelopes.

Versions of the stream-proxy differ: an array of records, an object with the array under one of several names, and
records that are wrapped themselves. A response has all records of the stream, without pages, so it is a file that is
mapped into memory, of which one record at a time is decoded.
"""

import mmap
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from faas.compute_module.errors import InvalidTable
from faas.compute_module.foundry.error_responses import body_excerpt
from faas.compute_module.pipeline.rows import COLUMNS, Row

Buffer = bytes | mmap.mmap | msgspec.Raw
T = TypeVar("T")

ENVELOPE_NAMES = ("records", "values", "data", "items", "result")
WRAPPER_NAMES = ("record", "value", "data")
_MAX_DEPTH = 32  # nested envelopes; a limit for hostile responses
_LABEL = "stream records"
_EXCERPT_BYTES = 1 << 14
_FIRST_CHARACTER = re.compile(rb"[ \t\r\n]*([^ \t\r\n])")
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def read_rows_of_file(path: Path) -> Iterator[Row]:
    """Return the rows in a response that was downloaded to `path`. Raises InvalidTable."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise InvalidTable(f"{_LABEL}: the answer is empty")
        yield from read_rows_of_records(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def read_rows_of_records(body: Buffer) -> Iterator[Row]:
    """Return the rows in a response. Items that are not objects are ignored; values that are not texts are blank.

    The names of fields are compared trimmed and case-folded, as in the input. Raises InvalidTable when the response is
    not JSON or has no array of records.
    """
    for number, item in enumerate(find_records(body), 1):
        try:
            record = msgspec.json.decode(item)
        except _UNREADABLE:
            raise InvalidTable(f"{_LABEL}: record {number} is not JSON: {body_excerpt(bytes(item))}") from None
        if isinstance(record, Mapping):
            yield _row_of(unwrap(record))


def find_records(body: Buffer) -> list[msgspec.Raw]:
    """Return the encoded items of the array in `body` that contains the records. Raises InvalidTable."""
    found = _find(body, 0)
    if found is None:
        raise InvalidTable(f"{_LABEL}: the answer holds no array of records: {_beginning(body)}")
    return found


def unwrap(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the record in its wrapper: the first of WRAPPER_NAMES that is an object, one level deep."""
    for name in WRAPPER_NAMES:
        inner = item.get(name)
        if isinstance(inner, Mapping):
            return inner
    return item


def _row_of(record: Mapping[str, Any]) -> Row:
    """Return the row of a record. Of several fields with one folded name, the exact one counts, then the first text."""
    texts = {name: value for name, value in record.items() if isinstance(value, str) and value.strip()}
    folded = {name.strip().casefold(): value for name, value in reversed(texts.items())}
    return Row(*[texts.get(name, folded.get(name, "")) for name in COLUMNS])


def _find(body: Buffer, depth: int) -> list[msgspec.Raw] | None:
    kind = _kind(body)
    if kind == b"[":
        return _decode(body, list[msgspec.Raw])
    if depth > _MAX_DEPTH:
        return None
    if kind != b"{":
        if depth == 0:
            _decode(body, msgspec.Raw)
        return None
    fields = _decode(body, dict[str, msgspec.Raw])
    for name in ENVELOPE_NAMES:
        if name in fields and (found := _find(fields[name], depth + 1)) is not None:
            return found
    arrays = [_decode(value, list[msgspec.Raw]) for value in fields.values() if _kind(value) == b"["]
    found_arrays = [items for items in arrays if any(_kind(item) == b"{" for item in items)]
    # An array with an address wins, so that the order of the fields does not decide.
    return next((items for items in found_arrays if _has_email(items)), found_arrays[0] if found_arrays else None)


def _has_email(items: list[msgspec.Raw]) -> bool:
    """Return whether the first object of an array is a record with an address."""
    first = next((item for item in items if _kind(item) == b"{"), None)
    try:
        return first is not None and bool(_row_of(unwrap(msgspec.json.decode(first, type=dict[str, Any]))).email)
    except _UNREADABLE:
        return False  # read_rows_of_records reports its number


def _kind(body: Buffer) -> bytes:
    """Return the first character of a JSON value, which tells its type."""
    found = _FIRST_CHARACTER.match(memoryview(body))
    return found[1] if found else b""


def _decode(body: Buffer, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except _UNREADABLE as error:
        # The envelope was validated as a whole, so that a byte in the message counts from the start of the answer.
        reason = f" ({error})" if isinstance(error, msgspec.MsgspecError) else ""
        raise InvalidTable(f"{_LABEL}: the answer is not JSON{reason}: {_beginning(body)}") from None


def _beginning(body: Buffer) -> str:
    return body_excerpt(bytes(memoryview(body)[:_EXCERPT_BYTES])) or "(empty)"
