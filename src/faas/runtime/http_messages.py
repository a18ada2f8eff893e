"""HTTP requests to functions, and their responses."""

import msgspec

from faas.outbound import Headers


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a function.

    `path` is what follows the function's name, percent-encoded as it came, and begins with a slash; `query` is without
    its question mark. Names of headers are in lower case; values are text in which each character is one byte.
    `origin` is the scheme and the host that the client used, and `base_path` the path of the function itself.
    """

    method: str
    origin: str
    base_path: str
    path: str
    query: str
    headers: Headers
    body: bytes
    client_address: str

    @property
    def url(self) -> str:
        """The URL as the function sees it: its own path is not in it, so that a router compares what is below."""
        return f"{self.origin}{self.path}{'?' if self.query else ''}{self.query}"

    def header(self, name: str) -> str | None:
        """Return the values of a header joined by commas, or None where there is none."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None


class HttpResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The response of a function. Names and values of headers are valid, as in HttpRequest."""

    status: int
    headers: Headers
    body: bytes
