"""The dataset endpoints: version 2, and the two of version 1 that older programs use."""

from typing import Any

from faas.compute_module.mock_foundry.answer import BYTES, CSV, Answer, document, invalid, not_found
from faas.compute_module.mock_foundry.datasets import Datasets, Upload
from faas.compute_module.mock_foundry.disk import MASTER
from faas.compute_module.mock_foundry.request import Request
from faas.compute_module.mock_foundry.router import Router
from faas.compute_module.mock_foundry.streams import Streams

_PAGE_SIZE = 100
_LARGEST_PAGE = 1000


class DatasetRoutes:
    """Endpoints over `datasets`; what is registered in `streams` can be read like a dataset, but not written."""

    def __init__(self, datasets: Datasets, streams: Streams) -> None:
        self._datasets = datasets
        self._streams = streams

    def register(self, router: Router) -> None:
        """Put the endpoints on their paths."""
        dataset = "/api/v2/datasets/{rid}"
        router.add("GET", dataset + "/branches/{branch}", self.branch)
        router.add("GET", dataset + "/readTable", self.read_table)
        router.add("GET", dataset + "/transactions", self.list_transactions)
        router.add("POST", dataset + "/transactions", self.create_transaction)
        router.add("POST", dataset + "/transactions/{transaction}/commit", self.commit)
        router.add("POST", dataset + "/files/{path...}/upload", self.upload)
        router.add("GET", dataset + "/files", self.list_files)
        router.add("GET", dataset + "/files/{path...}/content", self.file_content)
        router.add("GET", dataset + "/files/{path...}", self.file)
        router.add("GET", "/api/v1/datasets/{rid}/readTable", self.read_table)
        router.add("PUT", "/api/v1/datasets/{rid}/transactions/{transaction}/files/{path...}", self.upload)

    async def branch(self, request: Request) -> Answer:
        """Any branch of any dataset exists."""
        rid, branch = request.path["rid"], request.path["branch"]
        return document({"name": branch, "transactionRid": self._datasets.newest_transaction(rid, branch)})

    async def read_table(self, request: Request) -> Answer:
        """The whole table; which transactions, columns and rows are asked for makes no difference."""
        rid, branch = request.path["rid"], _branch(request)
        form = request.query.get("format", "CSV")
        if form.upper() != "CSV":
            raise invalid("InvalidParameter", parameter="format", value=form, reason="only CSV is served")
        if rid in self._streams:
            return Answer(self._streams.table(rid, branch), CSV)
        return Answer(self._datasets.table(rid, branch), CSV)

    async def list_transactions(self, request: Request) -> Answer:
        """A page of a dataset's transactions, newest first; a preview in Foundry, and only served as one."""
        if request.query.get("preview") != "true":
            raise not_found(reason="this endpoint is in preview: preview=true is needed")
        size = min(request.number("pageSize", _PAGE_SIZE, least=1), _LARGEST_PAGE)
        before = request.number("pageToken", 0, least=1) or None
        page, following = self._datasets.transactions(request.path["rid"], size, before)
        listing: dict[str, Any] = {"data": [transaction.wire() for transaction in page]}
        if following is not None:
            listing["nextPageToken"] = str(following)
        return document(listing)

    async def create_transaction(self, request: Request) -> Answer:
        """The body and each of its fields are optional."""
        rid = self._written(request)
        body = await request.json()
        body = {} if body is None else body
        if not isinstance(body, dict):
            raise invalid("InvalidBody", reason="not a JSON object")
        branch = request.query.get("branchName") or body.get("branchName") or body.get("branchId") or MASTER
        kind = body.get("transactionType") or "SNAPSHOT"
        if not isinstance(branch, str) or not isinstance(kind, str):
            raise invalid("InvalidBody", reason="branchName and transactionType are text")
        return document(self._datasets.create(rid, branch, kind).wire())

    async def upload(self, request: Request) -> Answer:
        """One file into an open transaction, named in the query (version 2) or in the path (version 1)."""
        rid = self._written(request)
        transaction = request.path.get("transaction") or request.query.get("transactionRid")
        if not transaction:
            raise invalid("InvalidParameter", parameter="transactionRid", reason="missing")
        upload = await self._datasets.upload(rid, transaction, request.path["path"], request.chunks())
        return document(_wire(transaction, upload))

    async def commit(self, request: Request) -> Answer:
        """The transaction as it is now."""
        return document(self._datasets.commit(self._written(request), request.path["transaction"]).wire())

    async def list_files(self, request: Request) -> Answer:
        """The files that a branch, or the transaction `endTransactionRid`, has."""
        prefix = request.query.get("pathPrefix", "")
        return document({"data": [_wire(*entry) for entry in self._files(request) if entry[1].path.startswith(prefix)]})

    async def file(self, request: Request) -> Answer:
        """What is known of one file."""
        return document(_wire(*self._file(request)))

    async def file_content(self, request: Request) -> Answer:
        """The bytes of one file."""
        return Answer(self._file(request)[1].location, BYTES)

    def _files(self, request: Request) -> list[tuple[str, Upload]]:
        return self._datasets.files(
            request.path["rid"], _branch(request), request.query.get("endTransactionRid") or None
        )

    def _file(self, request: Request) -> tuple[str, Upload]:
        path = request.path["path"]
        for transaction, upload in self._files(request):
            if upload.path == path:
                return transaction, upload
        raise not_found("FileNotFound", datasetRid=request.path["rid"], path=path)

    def _written(self, request: Request) -> str:
        rid = request.path["rid"]
        if rid in self._streams:
            raise invalid("InvalidDatasetType", datasetRid=rid, reason="this is a stream")
        return rid


def _branch(request: Request) -> str:
    return request.query.get("branchName") or request.query.get("branchId") or MASTER


def _wire(transaction: str, upload: Upload) -> dict[str, str]:
    return {
        "path": upload.path,
        "transactionRid": transaction,
        "sizeBytes": str(upload.size),
        "updatedTime": upload.updated,
    }
