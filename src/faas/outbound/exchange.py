"""Sends a request and follows its redirects; each URL and each address is judged by the list of the function."""

from contextlib import aclosing
from uuid import UUID

from faas.outbound.answers import NotHttp
from faas.outbound.bodies import is_decoded, read_body
from faas.outbound.connection import Connection, ConnectionLost
from faas.outbound.heads import RawHeaders, head_bytes, redirected, wire_headers
from faas.outbound.memory import HeldBytes
from faas.outbound.model import MAX_REDIRECTS, Headers, OutboundRequest, OutboundResponse, RequestFailed
from faas.outbound.pools import FunctionPools
from faas.outbound.secret_values import SecretValues
from faas.outbound.urls import Url, join_url
from faas.outbound_patterns import Origin, OutboundPatterns

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WITHOUT_BODY = frozenset({204, 304})
_SENT_AGAIN = frozenset({"GET", "HEAD", "OPTIONS"})


class Answer:
    """An answer before its redirect is followed: headers in lower case, as they came."""

    def __init__(self, status: int, reason: bytes, headers: RawHeaders, body: bytes, *, decoded: bool) -> None:
        self.status = status
        self.reason = reason
        self.headers = [
            (name.lower(), value)
            for name, value in headers
            if not (decoded and name.lower() in {b"content-encoding", b"content-length", b"transfer-encoding"})
        ]
        self.body = body

    def location(self) -> str | None:
        """Return where a redirect leads, or None where the answer is none."""
        if self.status not in _REDIRECTS:
            return None
        location = next((value for name, value in self.headers if name == b"location"), None)
        return None if location is None else location.decode("utf-8", "replace")


class Exchanges:
    """Sends the requests of one execution, whose function has the pool of `function_id` under `patterns`."""

    def __init__(
        self, pools: FunctionPools, function_id: UUID, patterns: OutboundPatterns, secrets: SecretValues
    ) -> None:
        self._pools = pools
        self._function_id = function_id
        self._patterns = patterns
        self._secrets = secrets

    async def send(self, request: OutboundRequest, url: Url, held: HeldBytes) -> OutboundResponse:
        """Return the answer to a checked request, after its redirects. Raises RequestFailed.

        `held` has the body of the request, and gets that of the answer.
        """
        for hop in range(MAX_REDIRECTS + 1):
            held.shrink(len(request.body))
            check_origin(self._patterns, url.origin, is_redirect=hop > 0)
            answer = await self._send_once(request, url, held)
            location = answer.location()
            if location is None or request.redirect == "manual":
                return self._response(answer, url, is_redirected=hop > 0)
            if request.redirect == "error":
                raise RequestFailed(f"{url.origin} answered with a redirect, which the request does not allow")
            try:
                target = join_url(url, location)
            except ValueError as error:
                raise RequestFailed(str(error)) from None
            request = redirected(request, answer.status, same_origin=target.origin == url.origin)
            url = target
        raise RequestFailed(f"more than {MAX_REDIRECTS} redirects")

    async def _send_once(self, request: OutboundRequest, url: Url, held: HeldBytes) -> Answer:
        origin = url.origin
        headers, with_secret = wire_headers(request, origin, self._secrets)
        head = head_bytes(request.method, url.target, headers)

        async def attempt() -> Answer:
            async with pool.connection(origin) as connection:
                return await self._exchange(connection, request, head, held, with_secret=with_secret)

        with self._pools.using(self._function_id, self._patterns) as pool:
            try:
                try:
                    return await attempt()
                except ConnectionLost as error:
                    # A server may close an idle connection just when it is used again.
                    if not error.stale or request.method not in _SENT_AGAIN:
                        raise
                    return await attempt()
            except NotHttp as error:
                raise RequestFailed(f"{origin} did not answer in HTTP/1.1: {error}") from None
            except ConnectionLost:
                raise RequestFailed(f"{origin} closed the connection before the answer was complete") from None

    async def _exchange(
        self, connection: Connection, request: OutboundRequest, head: bytes, held: HeldBytes, *, with_secret: bool
    ) -> Answer:
        answer = await connection.request(request.method, head, request.body)
        codings = [value for name, value in answer.headers if name.lower() == b"content-encoding"]
        coding = b",".join(codings).decode("latin-1").strip().lower()
        has_body = request.method != "HEAD" and answer.status not in _WITHOUT_BODY
        decoded = has_body and is_decoded(coding)
        if with_secret and has_body and not decoded and coding not in {"", "identity"}:
            raise RequestFailed("the answer has an encoding other than gzip or deflate, in which a secret is not found")
        async with aclosing(connection.body()) as chunks:
            body = await read_body(chunks, coding if decoded else None, held.add)
        headers = [(name, self._secrets.hide(value)) for name, value in answer.headers]
        hidden = self._secrets.hide(body)
        held.add(max(0, len(hidden) - len(body)))  # a placeholder may be longer than its secret
        return Answer(answer.status, answer.reason, headers, hidden, decoded=decoded)

    def _response(self, answer: Answer, url: Url, *, is_redirected: bool) -> OutboundResponse:
        headers: Headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers)
        reason = self._secrets.hide(answer.reason).decode("latin-1")
        return OutboundResponse(answer.status, reason, str(url), is_redirected, headers, answer.body)


def check_origin(patterns: OutboundPatterns, origin: Origin, *, is_redirect: bool = False) -> None:
    """Raise RequestFailed if the list of the function does not admit requests to `origin`."""
    if not patterns.admits(origin):
        what = f"a redirect to {origin}" if is_redirect else f"the request to {origin}"
        raise RequestFailed(f"{what} is not allowed; `faas deploy … --outbound {origin}` allows it")
