"""Streams: lists of records in memory, one for each branch of each registered resource identifier."""

import io
from collections.abc import Iterable
from typing import Any

import msgspec

from faas.compute_module.mock_foundry.answer import invalid, not_found
from faas.compute_module.pipeline.table import csv_writer

Record = dict[str, Any]


class Streams:
    """Only the identifiers given at the start are streams."""

    def __init__(self, rids: Iterable[str]) -> None:
        self.records: dict[str, dict[str, list[Record]]] = {rid: {} for rid in rids}

    def __contains__(self, rid: str) -> bool:
        return rid in self.records

    def read(self, rid: str, branch: str) -> list[Record]:
        """All records of a branch in the order they came. Raises Refusal: 404 when this is not a stream."""
        if rid not in self.records:
            raise not_found(streamRid=rid)
        return self.records[rid].get(branch, [])

    def publish(self, rid: str, branch: str, records: object) -> None:
        """Append. Raises Refusal: 404 when this is not a stream, 400 for what is not a list of objects."""
        self.read(rid, branch)
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise invalid("InvalidRecord", streamRid=rid, reason="a record is a JSON object")
        self.records[rid].setdefault(branch, []).extend(records)

    def table(self, rid: str, branch: str) -> bytes:
        """The records as CSV: a column for every field that occurs, in the order of first appearance."""
        records = self.read(rid, branch)
        columns = list(dict.fromkeys(name for record in records for name in record))
        text = io.StringIO()
        writer = csv_writer(text)
        if columns:
            writer.writerow(columns)
        for record in records:
            writer.writerow([_cell(record.get(name)) for name in columns])
        return text.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
