"""The stand-in as an ASGI application: served on a port, or driven without one.

httpx.AsyncClient(transport=httpx.ASGITransport(app=MockFoundry(uploads=folder)))
"""

import hmac
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from faas.compute_module.mock_foundry.answer import Answer, Refusal, document
from faas.compute_module.mock_foundry.dataset_routes import DatasetRoutes
from faas.compute_module.mock_foundry.datasets import Datasets
from faas.compute_module.mock_foundry.disk import Disk
from faas.compute_module.mock_foundry.request import ClientGone, Message, Receive, Request
from faas.compute_module.mock_foundry.router import Router, split_path
from faas.compute_module.mock_foundry.stream_routes import StreamRoutes
from faas.compute_module.mock_foundry.streams import Streams

log = structlog.get_logger()

Send = Callable[[Message], Awaitable[None]]

_CHUNK = 1 << 20
_DEBUG = "__debug"
_GUARDED = ("api", "stream-proxy")


class Call(msgspec.Struct, frozen=True, rename={"method": "Method", "path": "Path"}):
    """One recorded request: the decoded path, without the query."""

    method: str
    path: str


class MockFoundry:
    """Datasets, streams and the record of what was called, behind one ASGI callable.

    With a `token` every call of the APIs needs it. `uploads` is where files go; it is made when it is first needed.
    """

    def __init__(
        self, *, uploads: Path, inputs: Path | None = None, stream_rids: Iterable[str] = (), token: str | None = None
    ) -> None:
        self.datasets = Datasets(Disk(inputs, uploads))
        self.streams = Streams(stream_rids)
        self.calls: list[Call] = []
        self._token = token
        self._router = Router()
        DatasetRoutes(self.datasets, self.streams).register(self._router)
        StreamRoutes(self.streams).register(self._router)
        self._router.add("GET", "/__debug/health", self._health)
        self._router.add("GET", "/__debug/calls", self._calls)
        self._router.add("GET", "/__debug/uploads", self._uploads)
        self._router.add("GET", "/__debug/streams", self._streams)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request; other kinds of connection are none of ours."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            return
        request = Request(scope["query_string"], receive)
        try:
            answer = await self._answer(scope, request)
        except Refusal as refusal:
            answer = refusal.answer()
        except ClientGone:
            return
        except Exception:
            log.exception("mock_foundry.failed", method=scope["method"], path=scope["path"])
            answer = Refusal(500, "Internal", "INTERNAL").answer()
        await _send(send, answer)

    async def _answer(self, scope: MutableMapping[str, Any], request: Request) -> Answer:
        segments = split_path(scope.get("raw_path") or scope["path"].encode())
        if segments[0] != _DEBUG:
            self.calls.append(Call(scope["method"], "/" + "/".join(segments)))
        if segments[0] in _GUARDED:
            self._authorize(dict(scope["headers"]).get(b"authorization", b""))
        endpoint, request.path = self._router.find(scope["method"], segments)
        return await endpoint(request)

    def _authorize(self, header: bytes) -> None:
        if not self._token:
            return
        if not header.strip():
            raise Refusal(401, "MissingCredentials", "UNAUTHORIZED")
        if not hmac.compare_digest(header.strip(), b"Bearer " + self._token.encode()):
            raise Refusal(401, "Default:Unauthorized", "UNAUTHORIZED")

    async def _health(self, _request: Request) -> Answer:
        return Answer(b"ok", "text/plain")

    async def _calls(self, _request: Request) -> Answer:
        return document(self.calls)

    async def _uploads(self, _request: Request) -> Answer:
        return document(
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

    async def _streams(self, _request: Request) -> Answer:
        return document(self.streams.records)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _send(send: Send, answer: Answer) -> None:
    length = answer.body.stat().st_size if isinstance(answer.body, Path) else len(answer.body)
    headers = [("content-type", answer.content_type), ("content-length", str(length)), *answer.headers]
    if answer.status == 204:
        headers = list(answer.headers)
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    if isinstance(answer.body, Path):
        left = length
        with answer.body.open("rb") as file:  # replaced files keep their bytes for whoever has them open
            while left and (chunk := file.read(min(_CHUNK, left))):
                left -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": answer.body})
