"""Datasets and their transactions. The bytes are on disk, the transactions in memory."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from faas.compute_module.mock_foundry.answer import Refusal, invalid, not_found, timestamp
from faas.compute_module.mock_foundry.disk import Disk

NO_TRANSACTION = "ri.foundry.main.transaction.mock"
TRANSACTION_TYPES = ("APPEND", "UPDATE", "SNAPSHOT", "DELETE")


class Upload(msgspec.Struct, frozen=True):
    """One file in a transaction; its name is its path."""

    path: str
    location: Path
    size: int
    sha256: str
    updated: str


class Transaction(msgspec.Struct):
    """Open until it is committed."""

    rid: str
    number: int
    dataset: str
    branch: str
    type: str
    created: str
    closed: str | None = None
    files: dict[str, Upload] = msgspec.field(default_factory=dict)

    def wire(self) -> dict[str, str]:
        """As the API shows it."""
        shown = {
            "rid": self.rid,
            "transactionType": self.type,
            "status": "COMMITTED" if self.closed else "OPEN",
            "createdTime": self.created,
        }
        return {**shown, "closedTime": self.closed} if self.closed else shown


class Datasets:
    """Every dataset there may be: any resource identifier is one."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.uploads: list[tuple[Transaction, Upload]] = []
        self._transactions: dict[str, Transaction] = {}
        self._last_number = disk.last_transaction_number()

    def newest_transaction(self, dataset: str, branch: str) -> str:
        """The identifier of the newest transaction of a branch, or always the same where there is none."""
        found = [
            entry.rid for entry in self._transactions.values() if (entry.dataset, entry.branch) == (dataset, branch)
        ]
        return found[-1] if found else NO_TRANSACTION

    def table(self, dataset: str, branch: str) -> Path:
        """What `branch` reads: its last commit, else the dataset's input. Raises Refusal: 404 without either."""
        file = self.disk.committed_file(dataset, branch) or self.disk.input_file(dataset)
        if file is None:
            raise not_found("SchemaNotFound", datasetRid=dataset, branchName=branch)
        return file

    def transactions(self, dataset: str, size: int, before: int | None) -> tuple[list[Transaction], int | None]:
        """At most `size` transactions numbered below `before`, newest first; and where the next page begins."""
        found = [
            entry
            for entry in reversed(self._transactions.values())
            if entry.dataset == dataset and (before is None or entry.number < before)
        ]
        page = found[:size]
        return page, page[-1].number if len(found) > size else None

    def create(self, dataset: str, branch: str, kind: str) -> Transaction:
        """Open a transaction. Raises Refusal: 409 while the branch has an open one, 400 for an unknown type."""
        if kind not in TRANSACTION_TYPES:
            raise invalid("InvalidTransactionType", datasetRid=dataset, transactionType=kind)
        for entry in self._transactions.values():
            if (entry.dataset, entry.branch, entry.closed) == (dataset, branch, None):
                parameters = {"datasetRid": dataset, "branchName": branch}
                raise Refusal(409, "OpenTransactionAlreadyExists", "CONFLICT", parameters)
        self._last_number += 1
        transaction = Transaction(
            rid=f"ri.foundry.main.transaction.txn-{self._last_number:06d}",
            number=self._last_number,
            dataset=dataset,
            branch=branch,
            type=kind,
            created=timestamp(),
        )
        self._transactions[transaction.rid] = transaction
        return transaction

    def find(self, dataset: str, rid: str) -> Transaction:
        """Raises Refusal: 404 when the dataset has no such transaction."""
        transaction = self._transactions.get(rid)
        if transaction is None or transaction.dataset != dataset:
            raise not_found("TransactionNotFound", datasetRid=dataset, transactionRid=rid)
        return transaction

    async def upload(self, dataset: str, rid: str, path: str, chunks: AsyncIterator[bytes]) -> Upload:
        """Put a file into an open transaction; the same path again replaces it. Raises Refusal."""
        transaction = self._open(dataset, rid)
        location = self.disk.upload_path(dataset, rid, path)
        partial = self.disk.partial_path(dataset, rid)
        digest, size = hashlib.sha256(), 0
        try:
            location.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                async for chunk in chunks:
                    file.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
            self._open(dataset, rid)  # it may have been committed while the bytes came in
            partial.replace(location)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            # the path goes through a file, or names a folder, that an earlier upload made
            raise invalid("InvalidFilePath", filePath=path) from None
        finally:
            partial.unlink(missing_ok=True)
        upload = Upload(path, location, size, digest.hexdigest(), timestamp())
        transaction.files[path] = upload
        self.uploads.append((transaction, upload))
        return upload

    def commit(self, dataset: str, rid: str) -> Transaction:
        """Make a transaction's one file what its branch reads. Raises Refusal."""
        transaction = self._open(dataset, rid)
        if len(transaction.files) != 1:
            raise invalid(
                "Conjure:InvalidArgument",
                transactionRid=rid,
                reason=f"one file is needed, not {len(transaction.files)}",
            )
        (upload,) = transaction.files.values()
        self.disk.commit(dataset, transaction.branch, upload.location)
        transaction.closed = timestamp()
        return transaction

    def files(self, dataset: str, branch: str, rid: str | None = None) -> list[tuple[str, Upload]]:
        """(transaction, file) of the transaction `rid`, else of what `branch` reads, empty where that is nothing."""
        if rid is not None and rid != NO_TRANSACTION:
            return [(rid, upload) for upload in self.find(dataset, rid).files.values()]
        for entry in reversed(self._transactions.values()):
            if (entry.dataset, entry.branch) == (dataset, branch) and entry.closed:
                return [(entry.rid, upload) for upload in entry.files.values()]
        file = self.disk.committed_file(dataset, branch) or self.disk.input_file(dataset)
        return [(NO_TRANSACTION, _found(file))] if file else []

    def _open(self, dataset: str, rid: str) -> Transaction:
        transaction = self.find(dataset, rid)
        if transaction.closed:
            raise invalid("TransactionNotOpen", datasetRid=dataset, transactionRid=rid, transactionStatus="COMMITTED")
        return transaction


def _found(file: Path) -> Upload:
    """A file that no transaction of this process wrote."""
    status = file.stat()
    return Upload(file.name, file, status.st_size, "", timestamp(datetime.fromtimestamp(status.st_mtime, UTC)))
