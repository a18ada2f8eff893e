"""The calls that a compute module makes, in the words of the run."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import structlog

from faas.compute_module.errors import FoundryRequestFailed
from faas.compute_module.foundry.calls import Calls, may_have_been_done, moment_of
from faas.compute_module.foundry.environment import DatasetRef, FoundryEnvironment
from faas.compute_module.foundry.failure import error_code
from faas.compute_module.pipeline.rows import Row

log = structlog.get_logger()

_PAGES = 5
_PAGE_SIZE = 100


class Transaction(msgspec.Struct, frozen=True):
    """A transaction to write into. `ours` is false when the platform opened it, and will commit it."""

    rid: str
    ours: bool


class FoundryClient:
    """Datasets and streams of one Foundry. Every method raises FoundryRequestFailed."""

    def __init__(self, environment: FoundryEnvironment, calls: Calls) -> None:
        self._api = f"{environment.api}/v2/datasets"
        self._streams = f"{environment.stream_proxy}/streams"
        self._calls = calls

    async def read_table(self, dataset: DatasetRef, into: Path) -> None:
        """The branch as it is now, as CSV, into a file: first which transaction that is, then its table."""
        branch = await self._calls.json(
            f"read branch {dataset.branch} of {dataset.rid}",
            "GET",
            f"{self._api}/{_segment(dataset.rid)}/branches/{_segment(dataset.branch)}",
        )
        transaction = branch.get("transactionRid") if isinstance(branch, dict) else None
        query = {"format": "CSV", "branchName": dataset.branch}
        if isinstance(transaction, str) and transaction.strip():
            query |= {"startTransactionRid": transaction, "endTransactionRid": transaction}
        operation = f"read table of {dataset.rid}"
        response = await self._calls.call(
            operation, "GET", f"{self._api}/{_segment(dataset.rid)}/readTable", query=query, into=into
        )
        if not response.is_success:
            raise self._calls.failure(operation, response)
        if response.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise FoundryRequestFailed(operation, "the answer is a web page, not CSV", response.status_code)

    async def is_stream(self, dataset: DatasetRef) -> bool:
        """Whether the stream-proxy knows it: 2xx is yes, 404 is no, anything else a failure."""
        operation = f"probe for stream {dataset.rid}"
        url = self._branch(dataset) + "/records"
        response = await self._calls.call(operation, "GET", url, into=Path(os.devnull))
        if response.status_code == httpx.codes.NOT_FOUND:
            return False
        if not response.is_success:
            raise self._calls.failure(operation, response)
        return True

    async def read_records(self, dataset: DatasetRef, into: Path) -> None:
        """Everything in a stream, in whatever shape this stream-proxy gives it, into a file."""
        operation = f"read records of {dataset.rid}"
        response = await self._calls.call(operation, "GET", self._branch(dataset) + "/records", into=into)
        if not response.is_success:
            raise self._calls.failure(operation, response)

    async def publish(self, dataset: DatasetRef, row: Row, run_id: str) -> None:
        """Append one record: the row with null for what is blank, which run wrote it, and when."""
        record: dict[str, str | None] = {name: value or None for name, value in msgspec.structs.asdict(row).items()}
        record |= {"email": row.email, "run_id": run_id, "written_at": _now()}
        operation = f"publish to {dataset.rid}"
        response = await self._calls.call(operation, "POST", self._branch(dataset) + "/jsonRecord", body=record)
        if not response.is_success:
            raise self._calls.failure(operation, response)

    async def open_transaction(self, dataset: DatasetRef) -> Transaction:
        """A new SNAPSHOT transaction, or the OPEN one that the platform made before it started us."""
        operation = f"create transaction on {dataset.rid}"
        url = f"{self._api}/{_segment(dataset.rid)}/transactions"
        response = await self._calls.call(
            operation, "POST", url, query={"branchName": dataset.branch}, body={"transactionType": "SNAPSHOT"}
        )
        if response.status_code == httpx.codes.CONFLICT:
            failure = self._calls.failure(operation, response)
            if failure.error_name == "OpenTransactionAlreadyExists" or error_code(response) == "CONFLICT":
                found = await self._find_open(dataset, url)
                return Transaction(found["rid"], ours=_is_our_own(found, response))
        if not response.is_success:
            raise self._calls.failure(operation, response)
        created = self._calls.decode(operation, response)
        rid = (created.get("rid") or created.get("transactionId")) if isinstance(created, dict) else None
        if not isinstance(rid, str) or not rid:
            raise FoundryRequestFailed(operation, "the answer names no transaction", response.status_code)
        return Transaction(rid, ours=True)

    async def upload(self, dataset: DatasetRef, transaction: Transaction, name: str, file: Path) -> None:
        """Put `file` into the transaction as `name`."""
        operation = f"upload {name} to {dataset.rid}"
        response = await self._calls.call(
            operation,
            "POST",
            f"{self._api}/{_segment(dataset.rid)}/files/{_segment(name)}/upload",
            query={"transactionRid": transaction.rid},
            upload=file,
        )
        if not response.is_success:
            raise self._calls.failure(operation, response)

    async def commit(self, dataset: DatasetRef, transaction: Transaction) -> None:
        """Make the transaction's files what the branch reads."""
        operation = f"commit transaction {transaction.rid} of {dataset.rid}"
        url = f"{self._api}/{_segment(dataset.rid)}/transactions/{_segment(transaction.rid)}/commit"
        response = await self._calls.call(operation, "POST", url)
        if response.is_success:
            return
        failure = self._calls.failure(operation, response)
        if (
            failure.error_name == "TransactionNotOpen"
            and may_have_been_done(response) is not None
            and not _is_aborted(response)
        ):
            log.info("foundry.committed_before", rid=transaction.rid)  # its answer was lost
            return
        raise failure

    async def _find_open(self, dataset: DatasetRef, url: str) -> dict[str, Any]:
        """The newest OPEN transaction; where entries name their branch, of ours."""
        operation = f"list transactions of {dataset.rid}"
        query = {"preview": "true", "pageSize": str(_PAGE_SIZE)}
        for _ in range(_PAGES):
            page = await self._calls.json(operation, "GET", url, query=query)
            entries = page.get("data") if isinstance(page, dict) else None
            if not isinstance(entries, list):
                raise FoundryRequestFailed(operation, "the answer holds no list of transactions")
            found = [entry for entry in entries if _is_open(entry, dataset.branch)]
            if found:
                newest: dict[str, Any] = max(found, key=_created)
                return newest
            token = page.get("nextPageToken")
            if not isinstance(token, str) or not token:
                break
            query["pageToken"] = token
        raise FoundryRequestFailed(operation, "there is said to be an open transaction, but none is listed")

    def _branch(self, dataset: DatasetRef) -> str:
        return f"{self._streams}/{_segment(dataset.rid)}/branches/{_segment(dataset.branch)}"


def is_absent(failure: FoundryRequestFailed) -> bool:
    """Whether a failed read of the output only means that there is nothing to reuse, or nothing we may see."""
    return failure.status in {httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND}


def _segment(text: str) -> str:
    """One segment of a path, escaped once, `/` included."""
    return quote(text, safe="")


def _is_open(entry: object, branch: str) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("rid"), str):
        return False
    named = entry.get("branchName") or entry.get("branch") or branch
    return entry.get("status") == "OPEN" and named == branch


def _is_aborted(response: httpx.Response) -> bool:
    """Whether a TransactionNotOpen says that the transaction ended otherwise than by a commit."""
    parameters = msgspec.json.decode(response.content).get("parameters")
    status = parameters.get("transactionStatus") if isinstance(parameters, dict) else None
    return status not in {None, "COMMITTED"}


def _is_our_own(entry: dict[str, Any], conflict: httpx.Response) -> bool:
    """Whether the transaction in the way is the one that our own first attempt, whose answer was lost, created.

    That is when it is no older than that attempt, by the clocks of the server alone. In doubt it is the platform's.
    """
    since, now = may_have_been_done(conflict), moment_of(conflict)
    if since is None or now is None or _created(entry) < now - timedelta(seconds=since):
        return False
    log.info("foundry.created_before", rid=entry["rid"])
    return True


def _created(entry: dict[str, Any]) -> datetime:
    """When a transaction was created; one that does not say counts as the oldest."""
    try:
        return datetime.fromisoformat(str(entry.get("createdTime"))).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
