"""The dataset endpoints: version 2, and two of version 1 that older programs use."""

from typing import Any

from faas.compute_module.mock_foundry.dataset_store import DatasetStore, UploadedFile
from faas.compute_module.mock_foundry.request import Request
from faas.compute_module.mock_foundry.responses import BYTES, CSV, Response, bad_request, json_response, not_found
from faas.compute_module.mock_foundry.router import Router
from faas.compute_module.mock_foundry.storage import DEFAULT_BRANCH
from faas.compute_module.mock_foundry.stream_store import StreamStore

_DEFAULT_PAGE_SIZE = 100  # transactions
_MAX_PAGE_SIZE = 1000


class DatasetRoutes:
    """Endpoints of `datasets`. A stream of `streams` can be read like a dataset, and not written."""

    def __init__(self, datasets: DatasetStore, streams: StreamStore) -> None:
        self._datasets = datasets
        self._streams = streams

    def register(self, router: Router) -> None:
        """Add the routes to `router`."""
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

    async def branch(self, request: Request) -> Response:
        """Return the newest transaction of a branch; every branch of every dataset exists."""
        rid, branch = request.path["rid"], request.path["branch"]
        return json_response({"name": branch, "transactionRid": self._datasets.newest_transaction(rid, branch)})

    async def read_table(self, request: Request) -> Response:
        """Return the whole table; parameters that select transactions, columns or rows are ignored."""
        rid, branch = request.path["rid"], _branch(request)
        form = request.query.get("format", "CSV")
        if form.upper() != "CSV":
            raise bad_request("InvalidParameter", parameter="format", value=form, reason="only CSV is served")
        if rid in self._streams:
            return Response(self._streams.table(rid, branch), CSV)
        return Response(self._datasets.table(rid, branch), CSV)

    async def list_transactions(self, request: Request) -> Response:
        """Return a page of a dataset's transactions, newest first. Foundry requires `preview=true` for it, too."""
        if request.query.get("preview") != "true":
            raise not_found(reason="this endpoint is in preview: preview=true is needed")
        size = min(request.number("pageSize", _DEFAULT_PAGE_SIZE, least=1), _MAX_PAGE_SIZE)
        before = request.number("pageToken", 0, least=1) or None
        page, following = self._datasets.transactions(request.path["rid"], size, before)
        listing: dict[str, Any] = {"data": [transaction.to_json() for transaction in page]}
        if following is not None:
            listing["nextPageToken"] = str(following)
        return json_response(listing)

    async def create_transaction(self, request: Request) -> Response:
        """Open a transaction; the body and each of its fields are optional."""
        rid = self._writable_dataset(request)
        body = await request.json()
        body = {} if body is None else body
        if not isinstance(body, dict):
            raise bad_request("InvalidBody", reason="not a JSON object")
        branch = request.query.get("branchName") or body.get("branchName") or body.get("branchId") or DEFAULT_BRANCH
        kind = body.get("transactionType") or "SNAPSHOT"
        if not isinstance(branch, str) or not isinstance(kind, str):
            raise bad_request("InvalidBody", reason="branchName and transactionType are text")
        return json_response(self._datasets.create(rid, branch, kind).to_json())

    async def upload(self, request: Request) -> Response:
        """Upload a file into an open transaction, which the query (version 2) or the path (version 1) names."""
        rid = self._writable_dataset(request)
        transaction = request.path.get("transaction") or request.query.get("transactionRid")
        if not transaction:
            raise bad_request("InvalidParameter", parameter="transactionRid", reason="missing")
        upload = await self._datasets.upload(rid, transaction, request.path["path"], request.chunks())
        return json_response(_file_to_json(transaction, upload))

    async def commit(self, request: Request) -> Response:
        """Commit a transaction and return it."""
        return json_response(
            self._datasets.commit(self._writable_dataset(request), request.path["transaction"]).to_json()
        )

    async def list_files(self, request: Request) -> Response:
        """Return the files of a branch or of the transaction `endTransactionRid`."""
        prefix = request.query.get("pathPrefix", "")
        return json_response(
            {"data": [_file_to_json(*entry) for entry in self._files(request) if entry[1].path.startswith(prefix)]}
        )

    async def file(self, request: Request) -> Response:
        """Return the metadata of one file."""
        return json_response(_file_to_json(*self._file(request)))

    async def file_content(self, request: Request) -> Response:
        """Return the content of one file."""
        return Response(self._file(request)[1].location, BYTES)

    def _files(self, request: Request) -> list[tuple[str, UploadedFile]]:
        return self._datasets.files(
            request.path["rid"], _branch(request), request.query.get("endTransactionRid") or None
        )

    def _file(self, request: Request) -> tuple[str, UploadedFile]:
        path = request.path["path"]
        for transaction, upload in self._files(request):
            if upload.path == path:
                return transaction, upload
        raise not_found("FileNotFound", datasetRid=request.path["rid"], path=path)

    def _writable_dataset(self, request: Request) -> str:
        rid = request.path["rid"]
        if rid in self._streams:
            raise bad_request("InvalidDatasetType", datasetRid=rid, reason="this is a stream")
        return rid


def _branch(request: Request) -> str:
    return request.query.get("branchName") or request.query.get("branchId") or DEFAULT_BRANCH


def _file_to_json(transaction: str, upload: UploadedFile) -> dict[str, str]:
    return {
        "path": upload.path,
        "transactionRid": transaction,
        "sizeBytes": str(upload.size),
        "updatedTime": upload.updated,
    }
