"""uvicorn's HTTP protocol, with our shape for what it refuses before any application sees it."""

import msgspec
from uuid_utils import uuid7
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from faas.api.wire import Problem


class ProblemProtocol(HttpToolsProtocol):
    """Answers a request that is no HTTP with a problem document, as everything else is refused."""

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn with what is wrong."""
        request_id = str(uuid7())
        problem = Problem(
            type="urn:faas:problem:invalid-request",
            title="The request is not valid",
            status=400,
            detail=f"not a valid HTTP request: {msg.removesuffix('.')}",
            instance="",
            request_id=request_id,
        )
        body = msgspec.json.encode(problem)
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            "content-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
