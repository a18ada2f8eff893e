"""The mock Foundry as an ASGI application, for a server or for a client without a port:

httpx.AsyncClient(transport=httpx.ASGITransport(app=MockFoundry(uploads=folder)))
"""

import hmac
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from faas.compute_module.mock_foundry.dataset_routes import DatasetRoutes
from faas.compute_module.mock_foundry.dataset_store import DatasetStore
from faas.compute_module.mock_foundry.request import ClientDisconnected, Message, Receive, Request
from faas.compute_module.mock_foundry.responses import ErrorResponse, Response, json_response
from faas.compute_module.mock_foundry.router import Router, split_path
from faas.compute_module.mock_foundry.storage import Storage
from faas.compute_module.mock_foundry.stream_routes import StreamRoutes
from faas.compute_module.mock_foundry.stream_store import StreamStore

log = structlog.get_logger()

Send = Callable[[Message], Awaitable[None]]

_CHUNK_BYTES = 1 << 20
_DEBUG_PREFIX = "__debug"
_AUTHORIZED_PREFIXES = ("api", "stream-proxy")


class RecordedCall(msgspec.Struct, frozen=True, rename={"method": "Method", "path": "Path"}):
    """A recorded request: its method and its decoded path without the query."""

    method: str
    path: str


class MockFoundry:
    """Datasets, streams and recorded calls behind one ASGI callable.

    With `token` every call of the APIs requires it. `uploads` is the folder for files; it is created when needed.
    """

    def __init__(
        self, *, uploads: Path, inputs: Path | None = None, stream_rids: Iterable[str] = (), token: str | None = None
    ) -> None:
        self.datasets = DatasetStore(Storage(inputs, uploads))
        self.streams = StreamStore(stream_rids)
        self.calls: list[RecordedCall] = []
        self._token = token
        self._router = Router()
        DatasetRoutes(self.datasets, self.streams).register(self._router)
        StreamRoutes(self.streams).register(self._router)
        self._router.add("GET", "/__debug/health", self._health)
        self._router.add("GET", "/__debug/calls", self._calls)
        self._router.add("GET", "/__debug/uploads", self._uploads)
        self._router.add("GET", "/__debug/streams", self._streams)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one HTTP request or the lifespan; other connections are ignored."""
        if scope["type"] == "lifespan":
            await _handle_lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        request = Request(scope["query_string"], receive)
        try:
            response = await self._handle(scope, request)
        except ErrorResponse as error:
            response = error.response()
        except ClientDisconnected:
            return
        except Exception:
            log.exception("mock_foundry.request_failed", method=scope["method"], path=scope["path"])
            response = ErrorResponse(500, "Internal", "INTERNAL").response()
        await _send(send, response)

    async def _handle(self, scope: MutableMapping[str, Any], request: Request) -> Response:
        segments = split_path(scope.get("raw_path") or scope["path"].encode())
        if segments[0] != _DEBUG_PREFIX:
            self.calls.append(RecordedCall(scope["method"], "/" + "/".join(segments)))
        if segments[0] in _AUTHORIZED_PREFIXES:
            self._authorize(dict(scope["headers"]).get(b"authorization", b""))
        endpoint, request.path = self._router.find(scope["method"], segments)
        return await endpoint(request)

    def _authorize(self, header: bytes) -> None:
        if not self._token:
            return
        if not header.strip():
            raise ErrorResponse(401, "MissingCredentials", "UNAUTHORIZED")
        if not hmac.compare_digest(header.strip(), b"Bearer " + self._token.encode()):
            raise ErrorResponse(401, "Default:Unauthorized", "UNAUTHORIZED")

    async def _health(self, _request: Request) -> Response:
        return Response(b"ok", "text/plain")

    async def _calls(self, _request: Request) -> Response:
        return json_response(self.calls)

    async def _uploads(self, _request: Request) -> Response:
        return json_response(
            [
                {
                    "datasetRid": transaction.dataset,
                    "txnId": transaction.rid,
                    "filePath": upload.path,
                    "sizeBytes": upload.size,
                    "sha256Hex": upload.sha256,
                }
                for transaction, upload in self.datasets.uploads
            ]
        )

    async def _streams(self, _request: Request) -> Response:
        return json_response(self.streams.records)


async def _handle_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _send(send: Send, response: Response) -> None:
    length = response.body.stat().st_size if isinstance(response.body, Path) else len(response.body)
    headers = [("content-type", response.content_type), ("content-length", str(length)), *response.headers]
    if response.status == 204:
        headers = list(response.headers)
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": response.status, "headers": encoded})
    if isinstance(response.body, Path):
        left = length
        with response.body.open("rb") as file:  # an open file keeps its content when it is replaced
            while left and (chunk := file.read(min(_CHUNK_BYTES, left))):
                left -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": response.body})
