"""Parses one answer of a server in HTTP/1.1, as its bytes come."""

import httptools

from faas.outbound.heads import RawHeaders
from faas.outbound.model import MAX_HEADERS_BYTES, RequestFailed
from faas.units import format_size

# Of a head with those of the answers 1xx before it; and of what comes between two parts of a body, or after the last
# one: extensions of chunks and trailers, which the parser collects.
MAX_HEAD_BYTES = 4 * MAX_HEADERS_BYTES
MAX_ANSWER_HEADERS = 1000  # one of four bytes takes more than a hundred
_SWITCHING_PROTOCOLS = 101


class NotHttp(Exception):
    """What a server sent is not an answer in HTTP/1.1. The text has no part of what it sent."""


class AnswerParser:
    """The answer to one request. `parts` are those of the body that have come and are not taken yet.

    The methods `on_…` are those that the parser calls.
    """

    def __init__(self, method: str) -> None:
        self.status = 0
        self.reason = b""
        self.headers: RawHeaders = []
        self.parts: list[bytes] = []
        self.head_complete = False
        self.complete = False
        self.reusable = False  # whether another request may follow on the connection
        self._has_no_body = method == "HEAD"
        self._bytes_without_body = 0
        self._ends_with_connection = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes | memoryview) -> None:
        """Parse what has come. Raises NotHttp, and RequestFailed for a head that is too large."""
        before = len(self.parts)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.reusable = False
            if not self.complete:  # what follows an answer is not a part of it
                raise NotHttp(str(error.__context__ or error)) from None
        self._bytes_without_body = 0 if len(self.parts) > before else self._bytes_without_body + len(data)
        if not self.complete and self._bytes_without_body > MAX_HEAD_BYTES:
            self.reusable = False
            raise RequestFailed(f"the headers of the answer are larger than {format_size(MAX_HEAD_BYTES)}")

    def feed_end(self) -> bool:
        """Note that the server has closed the connection. Returns whether the answer is complete."""
        self.reusable = False
        self.complete = self.complete or (self.head_complete and self._ends_with_connection)
        return self.complete

    def on_message_begin(self) -> None:
        """Begin an answer: the first one, the one after an answer 1xx, or one without a request."""
        if self.complete:
            self.reusable = False

    def on_status(self, status: bytes) -> None:
        """Take a part of the reason."""
        if not self.head_complete:
            self.reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, but not one that follows the body."""
        if self.head_complete:
            return
        if len(self.headers) >= MAX_ANSWER_HEADERS:
            raise NotHttp(f"it has more than {MAX_ANSWER_HEADERS} headers")
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Judge the head."""
        if self.head_complete:
            return
        self.status = self._parser.get_status_code()
        if self._parser.get_http_version() not in {"1.1", "1.0"}:
            raise NotHttp("it has another version")
        if self.status < 100:
            raise NotHttp("its status has no meaning")
        if self.status == _SWITCHING_PROTOCOLS:
            raise NotHttp("it changes to another protocol")
        if self.status < 200:
            return
        names = {name.lower() for name, _ in self.headers}
        codings = [value.strip().lower() for name, value in self.headers if name.lower() == b"transfer-encoding"]
        if codings not in ([], [b"chunked"]):
            raise NotHttp("its Transfer-Encoding is not chunked")
        self.head_complete = True
        self.complete = self._has_no_body
        self._ends_with_connection = not codings and b"content-length" not in names

    def on_body(self, part: bytes) -> None:
        """Take a part of the body."""
        if not self.complete:
            self.parts.append(part)

    def on_message_complete(self) -> None:
        """End the answer, or what came before it."""
        if self.head_complete:
            self.reusable = not self.complete and self._parser.should_keep_alive()
            self.complete = True
        else:
            self.reason, self.headers = b"", []
