"""The stream endpoints: the stream-proxy's own, and those that the official SDK calls."""

from faas.compute_module.mock_foundry.answer import Answer, document, invalid
from faas.compute_module.mock_foundry.request import Request
from faas.compute_module.mock_foundry.router import Router
from faas.compute_module.mock_foundry.streams import Streams

_LIMIT = 100


class StreamRoutes:
    """Endpoints over `streams`. Every stream has one partition, and a record's offset is its place in it."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def register(self, router: Router) -> None:
        """Put the endpoints on their paths."""
        proxy = "/stream-proxy/api/streams/{rid}/branches/{branch}"
        router.add("GET", proxy + "/records", self.records)
        router.add("POST", proxy + "/jsonRecord", self.publish_json)
        for gateway in ("/api", "/stream-proxy/api"):  # the SDK takes either, as its environment says
            stream = gateway + "/v2/highScale/streams/datasets/{rid}/streams/{branch}"
            router.add("POST", stream + "/publishRecord", self.publish_record)
            router.add("POST", stream + "/publishRecords", self.publish_records)
            router.add("GET", stream + "/getRecords", self.get_records)

    async def records(self, request: Request) -> Answer:
        """All records of the branch as an array."""
        return document(self._streams.read(request.path["rid"], request.path["branch"]))

    async def publish_json(self, request: Request) -> Answer:
        """The body is the record."""
        self._streams.read(request.path["rid"], request.path["branch"])  # what is no stream is 404, whatever the body
        await self._publish(request, [await request.json()])
        return document({"status": "ok"})

    async def publish_record(self, request: Request) -> Answer:
        """The body holds one record."""
        body = await request.json()
        await self._publish(request, [body.get("record")] if isinstance(body, dict) else None)
        return Answer(status=204)

    async def publish_records(self, request: Request) -> Answer:
        """The body holds a list of records."""
        body = await request.json()
        await self._publish(request, body.get("records") if isinstance(body, dict) else None)
        return Answer(status=204)

    async def get_records(self, request: Request) -> Answer:
        """At most `limit` records from `startOffset` on."""
        records = self._streams.read(request.path["rid"], request.path["branch"])
        if request.query.get("partitionId", "0") != "0":
            raise invalid("InvalidParameter", parameter="partitionId", reason="there is one partition, 0")
        start = request.number("startOffset", 0)
        limit = request.number("limit", _LIMIT, least=1)
        chosen = enumerate(records[start : start + limit], start)
        return document([{"offset": str(offset), "value": record} for offset, record in chosen])

    async def _publish(self, request: Request, records: object) -> None:
        self._streams.publish(request.path["rid"], request.path["branch"], records)
