"""Datasets and their transactions: the files are on disk, the transactions in memory."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from faas.compute_module.mock_foundry.responses import ErrorResponse, bad_request, not_found, timestamp
from faas.compute_module.mock_foundry.storage import Storage

NO_TRANSACTION = "ri.foundry.main.transaction.mock"
TRANSACTION_TYPES = ("APPEND", "UPDATE", "SNAPSHOT", "DELETE")


class UploadedFile(msgspec.Struct, frozen=True):
    """A file of a transaction."""

    path: str
    location: Path
    size: int
    sha256: str
    updated: str


class Transaction(msgspec.Struct):
    """A transaction; it is open until it is committed."""

    rid: str
    number: int
    dataset: str
    branch: str
    type: str
    created: str
    closed: str | None = None
    files: dict[str, UploadedFile] = msgspec.field(default_factory=dict)

    def to_json(self) -> dict[str, str]:
        """Return the transaction in the API's form."""
        shown = {
            "rid": self.rid,
            "transactionType": self.type,
            "status": "COMMITTED" if self.closed else "OPEN",
            "createdTime": self.created,
        }
        return {**shown, "closedTime": self.closed} if self.closed else shown


class DatasetStore:
    """The datasets; every RID is one."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.uploads: list[tuple[Transaction, UploadedFile]] = []
        self._transactions: dict[str, Transaction] = {}
        self._last_number = storage.last_transaction_number()

    def newest_transaction(self, dataset: str, branch: str) -> str:
        """Return the RID of the newest transaction of a branch, NO_TRANSACTION when there is none."""
        found = [
            entry.rid for entry in self._transactions.values() if (entry.dataset, entry.branch) == (dataset, branch)
        ]
        return found[-1] if found else NO_TRANSACTION

    def table(self, dataset: str, branch: str) -> Path:
        """Return the last committed table of `branch`, else the input. Raises ErrorResponse 404 without either."""
        file = self.storage.committed_file(dataset, branch) or self.storage.input_file(dataset)
        if file is None:
            raise not_found("SchemaNotFound", datasetRid=dataset, branchName=branch)
        return file

    def transactions(self, dataset: str, size: int, before: int | None) -> tuple[list[Transaction], int | None]:
        """Return at most `size` transactions numbered below `before`, newest first, and `before` of the next page."""
        found = [
            entry
            for entry in reversed(self._transactions.values())
            if entry.dataset == dataset and (before is None or entry.number < before)
        ]
        page = found[:size]
        return page, page[-1].number if len(found) > size else None

    def create(self, dataset: str, branch: str, kind: str) -> Transaction:
        """Open a transaction. Raises ErrorResponse 409 while the branch has an open one, 400 for an unknown type."""
        if kind not in TRANSACTION_TYPES:
            raise bad_request("InvalidTransactionType", datasetRid=dataset, transactionType=kind)
        for entry in self._transactions.values():
            if (entry.dataset, entry.branch, entry.closed) == (dataset, branch, None):
                parameters = {"datasetRid": dataset, "branchName": branch}
                raise ErrorResponse(409, "OpenTransactionAlreadyExists", "CONFLICT", parameters)
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
        """Return a transaction. Raises ErrorResponse 404 when the dataset has no such transaction."""
        transaction = self._transactions.get(rid)
        if transaction is None or transaction.dataset != dataset:
            raise not_found("TransactionNotFound", datasetRid=dataset, transactionRid=rid)
        return transaction

    async def upload(self, dataset: str, rid: str, path: str, chunks: AsyncIterator[bytes]) -> UploadedFile:
        """Write a file into an open transaction, in place of one with the same path. Raises ErrorResponse."""
        transaction = self._open(dataset, rid)
        location = self.storage.upload_path(dataset, rid, path)
        partial = self.storage.partial_path(dataset, rid)
        digest, size = hashlib.sha256(), 0
        try:
            location.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                async for chunk in chunks:
                    file.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
            self._open(dataset, rid)  # it may have been committed during the upload
            partial.replace(location)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            # An earlier upload made a file of a folder in this path, or a folder of its name.
            raise bad_request("InvalidFilePath", filePath=path) from None
        finally:
            partial.unlink(missing_ok=True)
        upload = UploadedFile(path, location, size, digest.hexdigest(), timestamp())
        transaction.files[path] = upload
        self.uploads.append((transaction, upload))
        return upload

    def commit(self, dataset: str, rid: str) -> Transaction:
        """Commit a transaction: its one file becomes the table of its branch. Raises ErrorResponse."""
        transaction = self._open(dataset, rid)
        if len(transaction.files) != 1:
            raise bad_request(
                "Conjure:InvalidArgument",
                transactionRid=rid,
                reason=f"one file is needed, not {len(transaction.files)}",
            )
        (upload,) = transaction.files.values()
        self.storage.commit(dataset, transaction.branch, upload.location)
        transaction.closed = timestamp()
        return transaction

    def files(self, dataset: str, branch: str, rid: str | None = None) -> list[tuple[str, UploadedFile]]:
        """Return the files of the transaction `rid`, else of the table of `branch`, each with its transaction."""
        if rid is not None and rid != NO_TRANSACTION:
            return [(rid, upload) for upload in self.find(dataset, rid).files.values()]
        for entry in reversed(self._transactions.values()):
            if (entry.dataset, entry.branch) == (dataset, branch) and entry.closed:
                return [(entry.rid, upload) for upload in entry.files.values()]
        file = self.storage.committed_file(dataset, branch) or self.storage.input_file(dataset)
        return [(NO_TRANSACTION, _describe_file(file))] if file else []

    def _open(self, dataset: str, rid: str) -> Transaction:
        transaction = self.find(dataset, rid)
        if transaction.closed:
            raise bad_request(
                "TransactionNotOpen", datasetRid=dataset, transactionRid=rid, transactionStatus="COMMITTED"
            )
        return transaction


def _describe_file(file: Path) -> UploadedFile:
    """Return the metadata of a file that no transaction of this process wrote."""
    status = file.stat()
    return UploadedFile(file.name, file, status.st_size, "", timestamp(datetime.fromtimestamp(status.st_mtime, UTC)))
