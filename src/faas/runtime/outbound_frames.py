"""Outbound requests as guests make them: frames in, frames out, on a session of faas.outbound."""

from faas.outbound import OutboundFailure, OutboundRecord, OutboundRequest, OutboundSession
from faas.runtime import frames
from faas.runtime.frames import RequestHead, ResponseHead


class FrameSession:
    """A RequestSession."""

    def __init__(self, session: OutboundSession) -> None:
        self._session = session

    def start(self, frame: bytes) -> int:
        """Begin the request in a frame; see RequestSession."""
        try:
            head, body = frames.decode_request(frame)
        except frames.MalformedFrame:
            head, body = RequestHead(method="", url=""), b""  # refused, as every request without a URL
        return self._session.start(OutboundRequest(head.method, head.url, head.headers, body, head.redirect))

    def take(self, number: int) -> bytes | None:
        """Return the frame of a response; see RequestSession."""
        result = self._session.take(number)
        if result is None:
            return None
        if isinstance(result, OutboundFailure):
            return frames.encode(ResponseHead(error=result.message), b"")
        head = ResponseHead(
            status=result.status,
            status_text=result.reason,
            url=result.url,
            redirected=result.redirected,
            headers=result.headers,
        )
        return frames.encode(head, result.body)

    def records(self) -> tuple[OutboundRecord, ...]:
        """Return what is recorded of the requests; see RequestSession."""
        return tuple(self._session.records)

    def close(self) -> None:
        """Cancel the requests that are not complete; see RequestSession."""
        self._session.close()
