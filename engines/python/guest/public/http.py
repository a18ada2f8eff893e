"""HTTP requests to other servers: `from faas import http`, then `http.get("https://api.example.com/").json()`.

The setting `outbound` of the function says which servers it may reach.
"""

import json as _json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from _faas import outbound
from _faas.outbound import RequestError

__all__ = ["Headers", "RequestError", "Response", "delete", "get", "head", "patch", "post", "put", "request"]


class Headers(Mapping[str, str]):
    """The headers of a response, by names in any case. Values of one name are joined by a comma."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value)

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"

    def get_all(self, name: str) -> list[str]:
        """Return each value of a header, as of set-cookie."""
        return list(self._values.get(name.lower(), ()))


class Response:
    """A response: its `status`, `reason`, `url`, `headers`, and its `body` as bytes."""

    def __init__(self, answer: outbound.Answer) -> None:
        self.status: int = answer.status
        self.reason: str = answer.reason
        self.url: str = answer.url
        self.headers = Headers(answer.headers)
        self.body: bytes = answer.body

    @property
    def ok(self) -> bool:
        """True for a status from 200 to 299."""
        return 200 <= self.status < 300

    def text(self) -> str:
        """Return the body as text, in the charset of the content type or in UTF-8."""
        _, _, parameter = self.headers.get("content-type", "").lower().partition("charset=")
        charset = parameter.partition(";")[0].strip(" \"'") or "utf-8"
        try:
            return self.body.decode(charset, "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return what the body is in JSON. Raises ValueError."""
        return _json.loads(self.body)

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    json: Any = None,
    data: str | bytes | Mapping[str, Any] | None = None,
    redirect: str = "follow",
    timeout: float | None = None,
) -> Response:
    """Make a request and wait for the response.

    The body is `json` as a document, or `data`: a text, bytes, or the fields of a form. `redirect` is `follow`,
    `manual` (the response is that of the redirect) or `error`. `timeout` is in seconds; the time limit of the execution
    holds anyway. Raises RequestError where there is no response, and TimeoutError.
    """
    sent = [(str(name), str(value)) for name, value in (headers.items() if isinstance(headers, Mapping) else headers)]
    body, kind = _body(json, data)
    if kind and "content-type" not in {name.lower() for name, _ in sent}:
        sent.append(("content-type", kind))
    return Response(outbound.send(method.upper(), url, sent, body, redirect=redirect, timeout=timeout))


def _body(json: Any, data: str | bytes | Mapping[str, Any] | None) -> tuple[bytes, str]:
    """Return a body and its content type."""
    if json is not None and data is not None:
        raise TypeError("a request has `json` or `data`, not both")
    if json is not None:
        return _json.dumps(json, ensure_ascii=False, separators=(",", ":")).encode(), "application/json"
    if isinstance(data, Mapping):
        return urlencode(data, doseq=True).encode(), "application/x-www-form-urlencoded"
    if isinstance(data, str):
        return data.encode(), "text/plain; charset=utf-8"
    return bytes(data or b""), ""


def get(url: str, **options: Any) -> Response:
    """Make a GET request; the options are those of `request`."""
    return request("GET", url, **options)


def head(url: str, **options: Any) -> Response:
    """Make a HEAD request; the options are those of `request`."""
    return request("HEAD", url, **options)


def post(url: str, **options: Any) -> Response:
    """Make a POST request; the options are those of `request`."""
    return request("POST", url, **options)


def put(url: str, **options: Any) -> Response:
    """Make a PUT request; the options are those of `request`."""
    return request("PUT", url, **options)


def patch(url: str, **options: Any) -> Response:
    """Make a PATCH request; the options are those of `request`."""
    return request("PATCH", url, **options)


def delete(url: str, **options: Any) -> Response:
    """Make a DELETE request; the options are those of `request`."""
    return request("DELETE", url, **options)
