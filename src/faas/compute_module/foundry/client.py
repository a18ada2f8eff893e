"""The operations of Foundry's dataset and stream APIs that a run uses."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import structlog

from faas.compute_module.errors import FoundryRequestFailed
from faas.compute_module.foundry.environment import DatasetRef, FoundryEnvironment
from faas.compute_module.foundry.error_responses import error_code
from faas.compute_module.foundry.http_client import FoundryHttpClient, seconds_since_unconfirmed_attempt, server_time
from faas.compute_module.pipeline.rows import Row

log = structlog.get_logger()

_MAX_PAGES = 5
_PAGE_SIZE = 100  # transactions


class Transaction(msgspec.Struct, frozen=True):
    """An open transaction. `is_ours` is false when Foundry opened it before the run and commits it afterwards."""

    rid: str
    is_ours: bool


class FoundryClient:
    """Reads and writes the datasets and streams of one Foundry. Every method raises FoundryRequestFailed."""

    def __init__(self, environment: FoundryEnvironment, http: FoundryHttpClient) -> None:
        self._datasets_url = f"{environment.api}/v2/datasets"
        self._streams_url = f"{environment.stream_proxy}/streams"
        self._http = http

    async def read_table(self, dataset: DatasetRef, download_to: Path) -> None:
        """Download the table of a branch as CSV, as of the transaction that the branch has now."""
        branch = await self._http.request_json(
            f"read branch {dataset.branch} of {dataset.rid}",
            "GET",
            f"{self._dataset_url(dataset)}/branches/{_escape(dataset.branch)}",
        )
        transaction = branch.get("transactionRid") if isinstance(branch, dict) else None
        query = {"format": "CSV", "branchName": dataset.branch}
        if isinstance(transaction, str) and transaction.strip():
            query |= {"startTransactionRid": transaction, "endTransactionRid": transaction}
        operation = f"read table of {dataset.rid}"
        response = await self._http.request(
            operation, "GET", f"{self._dataset_url(dataset)}/readTable", query=query, download_to=download_to
        )
        if not response.is_success:
            raise self._http.failure_of(operation, response)
        if response.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise FoundryRequestFailed(operation, "the answer is a web page, not CSV", response.status_code)

    async def is_stream(self, dataset: DatasetRef) -> bool:
        """Return whether the stream-proxy knows the dataset: 2xx is yes, 404 is no, any other status an error."""
        operation = f"probe for stream {dataset.rid}"
        url = self._stream_url(dataset) + "/records"
        response = await self._http.request(operation, "GET", url, download_to=Path(os.devnull))
        if response.status_code == httpx.codes.NOT_FOUND:
            return False
        if not response.is_success:
            raise self._http.failure_of(operation, response)
        return True

    async def read_records(self, dataset: DatasetRef, download_to: Path) -> None:
        """Download all records of a stream, in the envelope that the stream-proxy sends."""
        operation = f"read records of {dataset.rid}"
        url = self._stream_url(dataset) + "/records"
        response = await self._http.request(operation, "GET", url, download_to=download_to)
        if not response.is_success:
            raise self._http.failure_of(operation, response)

    async def publish(self, dataset: DatasetRef, row: Row, run_id: str) -> None:
        """Append one record to a stream: the row with null for blank values, the run and the time."""
        record: dict[str, str | None] = {name: value or None for name, value in msgspec.structs.asdict(row).items()}
        record |= {"email": row.email, "run_id": run_id, "written_at": _now()}
        operation = f"publish to {dataset.rid}"
        response = await self._http.request(operation, "POST", self._stream_url(dataset) + "/jsonRecord", body=record)
        if not response.is_success:
            raise self._http.failure_of(operation, response)

    async def open_transaction(self, dataset: DatasetRef) -> Transaction:
        """Return a new SNAPSHOT transaction, or the OPEN one that Foundry created before it started the module."""
        operation = f"create transaction on {dataset.rid}"
        url = f"{self._dataset_url(dataset)}/transactions"
        response = await self._http.request(
            operation, "POST", url, query={"branchName": dataset.branch}, body={"transactionType": "SNAPSHOT"}
        )
        if response.status_code == httpx.codes.CONFLICT:
            failure = self._http.failure_of(operation, response)
            if failure.error_name == "OpenTransactionAlreadyExists" or error_code(response) == "CONFLICT":
                entry = await self._find_open_transaction(dataset, url)
                return Transaction(entry["rid"], is_ours=_is_our_own(entry, response))
        if not response.is_success:
            raise self._http.failure_of(operation, response)
        created = self._http.decode_json(operation, response)
        rid = (created.get("rid") or created.get("transactionId")) if isinstance(created, dict) else None
        if not isinstance(rid, str) or not rid:
            raise FoundryRequestFailed(operation, "the answer names no transaction", response.status_code)
        return Transaction(rid, is_ours=True)

    async def upload(self, dataset: DatasetRef, transaction: Transaction, name: str, file: Path) -> None:
        """Upload `file` into the transaction as `name`."""
        operation = f"upload {name} to {dataset.rid}"
        response = await self._http.request(
            operation,
            "POST",
            f"{self._dataset_url(dataset)}/files/{_escape(name)}/upload",
            query={"transactionRid": transaction.rid},
            upload=file,
        )
        if not response.is_success:
            raise self._http.failure_of(operation, response)

    async def commit(self, dataset: DatasetRef, transaction: Transaction) -> None:
        """Commit the transaction. A retry that finds it committed by an attempt without a response is a success."""
        operation = f"commit transaction {transaction.rid} of {dataset.rid}"
        url = f"{self._dataset_url(dataset)}/transactions/{_escape(transaction.rid)}/commit"
        response = await self._http.request(operation, "POST", url)
        if response.is_success:
            return
        failure = self._http.failure_of(operation, response)
        if (
            failure.error_name == "TransactionNotOpen"
            and seconds_since_unconfirmed_attempt(response) is not None
            and not _is_aborted(response)
        ):
            log.info("transaction.found_committed", rid=transaction.rid)
            return
        raise failure

    async def _find_open_transaction(self, dataset: DatasetRef, url: str) -> dict[str, Any]:
        """Return the newest OPEN transaction; entries that name another branch are ignored."""
        operation = f"list transactions of {dataset.rid}"
        query = {"preview": "true", "pageSize": str(_PAGE_SIZE)}
        for _ in range(_MAX_PAGES):
            page = await self._http.request_json(operation, "GET", url, query=query)
            entries = page.get("data") if isinstance(page, dict) else None
            if not isinstance(entries, list):
                raise FoundryRequestFailed(operation, "the answer holds no list of transactions")
            open_entries = [entry for entry in entries if _is_open(entry, dataset.branch)]
            if open_entries:
                newest: dict[str, Any] = max(open_entries, key=_creation_time)
                return newest
            token = page.get("nextPageToken")
            if not isinstance(token, str) or not token:
                break
            query["pageToken"] = token
        raise FoundryRequestFailed(operation, "there is said to be an open transaction, but none is listed")

    def _dataset_url(self, dataset: DatasetRef) -> str:
        return f"{self._datasets_url}/{_escape(dataset.rid)}"

    def _stream_url(self, dataset: DatasetRef) -> str:
        return f"{self._streams_url}/{_escape(dataset.rid)}/branches/{_escape(dataset.branch)}"


def means_no_cache(failure: FoundryRequestFailed) -> bool:
    """Return whether a failed read of the output leaves the run without a cache: the output is missing or forbidden."""
    return failure.status in {httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND}


def _escape(text: str) -> str:
    """Return `text` as one segment of a path, with `/` escaped too."""
    return quote(text, safe="")


def _is_open(entry: object, branch: str) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("rid"), str):
        return False
    entry_branch = entry.get("branchName") or entry.get("branch") or branch
    return entry.get("status") == "OPEN" and entry_branch == branch


def _is_aborted(response: httpx.Response) -> bool:
    """Return whether a TransactionNotOpen error names another status than COMMITTED."""
    parameters = msgspec.json.decode(response.content).get("parameters")
    status = parameters.get("transactionStatus") if isinstance(parameters, dict) else None
    return status not in {None, "COMMITTED"}


def _is_our_own(entry: dict[str, Any], conflict: httpx.Response) -> bool:
    """Return whether the transaction that caused the conflict was created by our own attempt without a response.

    It was when it is no older than that attempt, by the server's clock alone. In doubt it is Foundry's
    (docs/decisions/0022-open-transactions.md).
    """
    seconds, now = seconds_since_unconfirmed_attempt(conflict), server_time(conflict)
    if seconds is None or now is None or _creation_time(entry) < now - timedelta(seconds=seconds):
        return False
    log.info("transaction.found_created", rid=entry["rid"])
    return True


def _creation_time(entry: dict[str, Any]) -> datetime:
    """Return the creation time of a transaction; one without a valid time counts as the oldest."""
    try:
        return datetime.fromisoformat(str(entry.get("createdTime"))).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
