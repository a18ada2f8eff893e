"""The stream endpoints: those of the stream-proxy, and those that the official SDK calls."""

from faas.compute_module.mock_foundry.request import Request
from faas.compute_module.mock_foundry.responses import Response, bad_request, json_response
from faas.compute_module.mock_foundry.router import Router
from faas.compute_module.mock_foundry.stream_store import StreamStore

_DEFAULT_LIMIT = 100  # records


class StreamRoutes:
    """Endpoints of `streams`. A stream has one partition; the offset of a record is its index."""

    def __init__(self, streams: StreamStore) -> None:
        self._streams = streams

    def register(self, router: Router) -> None:
        """Add the routes to `router`."""
        proxy = "/stream-proxy/api/streams/{rid}/branches/{branch}"
        router.add("GET", proxy + "/records", self.records)
        router.add("POST", proxy + "/jsonRecord", self.publish_json)
        for gateway in ("/api", "/stream-proxy/api"):  # the SDK uses one of them, depending on its configuration
            stream = gateway + "/v2/highScale/streams/datasets/{rid}/streams/{branch}"
            router.add("POST", stream + "/publishRecord", self.publish_record)
            router.add("POST", stream + "/publishRecords", self.publish_records)
            router.add("GET", stream + "/getRecords", self.get_records)

    async def records(self, request: Request) -> Response:
        """Return all records of a branch as an array."""
        return json_response(self._streams.read(request.path["rid"], request.path["branch"]))

    async def publish_json(self, request: Request) -> Response:
        """Append the body as a record."""
        self._streams.read(request.path["rid"], request.path["branch"])  # an unknown stream is 404, with any body
        await self._publish(request, [await request.json()])
        return json_response({"status": "ok"})

    async def publish_record(self, request: Request) -> Response:
        """Append the record in the body."""
        body = await request.json()
        await self._publish(request, [body.get("record")] if isinstance(body, dict) else None)
        return Response(status=204)

    async def publish_records(self, request: Request) -> Response:
        """Append the records in the body."""
        body = await request.json()
        await self._publish(request, body.get("records") if isinstance(body, dict) else None)
        return Response(status=204)

    async def get_records(self, request: Request) -> Response:
        """Return at most `limit` records from `startOffset` on."""
        records = self._streams.read(request.path["rid"], request.path["branch"])
        if request.query.get("partitionId", "0") != "0":
            raise bad_request("InvalidParameter", parameter="partitionId", reason="there is one partition, 0")
        start = request.number("startOffset", 0)
        limit = request.number("limit", _DEFAULT_LIMIT, least=1)
        chosen = enumerate(records[start : start + limit], start)
        return json_response([{"offset": str(offset), "value": record} for offset, record in chosen])

    async def _publish(self, request: Request, records: object) -> None:
        self._streams.publish(request.path["rid"], request.path["branch"], records)
