"""Streams: lists of records in memory, one for each branch of each registered RID."""

import io
from collections.abc import Iterable
from typing import Any

import msgspec

from faas.compute_module.mock_foundry.responses import bad_request, not_found
from faas.compute_module.pipeline.table import csv_writer

Record = dict[str, Any]


class StreamStore:
    """The streams; only the RIDs given to the constructor are streams."""

    def __init__(self, rids: Iterable[str]) -> None:
        self.records: dict[str, dict[str, list[Record]]] = {rid: {} for rid in rids}

    def __contains__(self, rid: str) -> bool:
        return rid in self.records

    def read(self, rid: str, branch: str) -> list[Record]:
        """Return the records of a branch in the order of publication. Raises ErrorResponse 404 for any other RID."""
        if rid not in self.records:
            raise not_found(streamRid=rid)
        return self.records[rid].get(branch, [])

    def publish(self, rid: str, branch: str, records: object) -> None:
        """Append records. Raises ErrorResponse 404 for any other RID, 400 when they are not a list of objects."""
        self.read(rid, branch)
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise bad_request("InvalidRecord", streamRid=rid, reason="a record is a JSON object")
        self.records[rid].setdefault(branch, []).extend(records)

    def table(self, rid: str, branch: str) -> bytes:
        """Return the records as CSV, with a column for each field in the order of its first occurrence."""
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
