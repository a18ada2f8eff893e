"""Secrets of hosts in outbound requests: sent to their origins alone, and in nothing that the guest or a record gets."""

import gzip
import json
from collections.abc import Iterator

import pytest

from faas.outbound import HostSecret, OutboundClient, OutboundRequest
from faas.outbound_patterns import parse_origin
from tests.helpers.outbound_calls import Guest
from tests.helpers.raw_server import RawServer, ReceivedRequest, answer

PLACEHOLDER = "faas-secret-7f3a"
VALUE = 's3cr"et&value'


@pytest.fixture
def client() -> Iterator[OutboundClient]:
    client = OutboundClient()
    yield client
    client.close()


def echo(request: ReceivedRequest) -> list[bytes]:
    """Answer with all that came, in the body and in a header."""
    given = {"line": request.line, "headers": dict(request.headers), "body": request.body.decode()}
    return answer(
        json.dumps(given).encode(), "200 " + (request.header("x-key") or "OK"), X_Key=request.header("x-key") or ""
    )


def secret_of(*servers: RawServer) -> HostSecret:
    return HostSecret(PLACEHOLDER, VALUE, frozenset(parse_origin(server.origin) for server in servers))


def test_secrets_are_sent_in_headers_to_their_origin_and_hidden_in_the_answer(client: OutboundClient) -> None:
    with RawServer(echo) as server:
        guest = Guest(client, [server.origin], secrets=[secret_of(server)])
        result = guest.answer(
            OutboundRequest(
                "POST", f"{server.origin}/{PLACEHOLDER}", (("X-Key", f"Bearer {PLACEHOLDER}"),), PLACEHOLDER.encode()
            )
        )
        (received,) = server.requests
        assert received.header("x-key") == f"Bearer {VALUE}"
        assert (received.target, received.body.decode()) == (f"/{PLACEHOLDER}", PLACEHOLDER)
        assert json.loads(result.body)["headers"]["x-key"] == f"Bearer {PLACEHOLDER}"
        assert dict(result.headers)["x-key"] == f"Bearer {PLACEHOLDER}"
        assert result.reason == f"Bearer {PLACEHOLDER}"
        assert "s3cr" not in f"{result} {guest.records}"


def test_secrets_are_not_sent_to_other_origins(client: OutboundClient) -> None:
    with RawServer(echo) as server, RawServer(echo) as other:
        guest = Guest(client, [server.origin, other.origin], secrets=[secret_of(server)])
        guest.answer(OutboundRequest("GET", other.origin, (("X-Key", PLACEHOLDER),)))
        assert other.requests[0].header("x-key") == PLACEHOLDER


def test_secrets_are_judged_again_after_a_redirect(client: OutboundClient) -> None:
    with RawServer(echo) as trusted, RawServer(echo) as other:
        for origin, sent in [(trusted.origin, VALUE), (other.origin, PLACEHOLDER)]:
            with RawServer(lambda _, to=origin: answer(b"", "307 x", Location=to)) as first:  # type: ignore[misc]
                guest = Guest(
                    client,
                    [first.origin, trusted.origin, other.origin],
                    secrets=[secret_of(first, trusted)],
                )
                guest.answer(OutboundRequest("GET", first.origin, (("X-Key", PLACEHOLDER),)))
                assert first.requests[0].header("x-key") == VALUE
            assert [*trusted.requests, *other.requests][-1].header("x-key") == sent


def test_secrets_that_a_redirect_has_are_not_passed_on(client: OutboundClient) -> None:
    def leak(request: ReceivedRequest) -> list[bytes]:
        return answer(b"", "302 Found", Location=f"{other.origin}/?{request.header('x-key')}")

    with RawServer(leak) as server, RawServer(echo) as other:
        guest = Guest(
            client,
            [server.origin, other.origin],
            secrets=[HostSecret(PLACEHOLDER, "s3cret", frozenset({parse_origin(server.origin)}))],
        )
        result = guest.answer(OutboundRequest("GET", server.origin, (("X-Key", PLACEHOLDER),)))
        assert other.requests[0].target == f"/?{PLACEHOLDER}"
        assert result.url == f"{other.origin}/?{PLACEHOLDER}"


def test_secrets_are_hidden_in_compressed_answers(client: OutboundClient) -> None:
    def compressed(request: ReceivedRequest) -> list[bytes]:
        coding = request.header("x-coding") or ""
        body = gzip.compress((request.header("x-key") or "").encode())
        return answer(body, Content_Encoding=coding)

    with RawServer(compressed) as server:
        guest = Guest(client, [server.origin], secrets=[secret_of(server)])
        key = ("X-Key", PLACEHOLDER)
        asked = (("Accept-Encoding", "br"), ("X-Coding", "gzip"), key)
        assert guest.answer(OutboundRequest("GET", server.origin, asked)).body == PLACEHOLDER.encode()
        assert server.requests[0].header("accept-encoding") == "gzip, deflate"
        for coding in ("br", "gzip, gzip", "GZIP;x"):
            message = guest.failure(OutboundRequest("GET", server.origin, (("X-Coding", coding), key)))
            assert "other than gzip or deflate" in message


def test_secrets_are_not_in_messages(client: OutboundClient) -> None:
    with RawServer(lambda request: [f"HTTP/9 {request.header('x-key')}\r\n\r\n".encode()]) as server:
        guest = Guest(client, [server.origin], secrets=[secret_of(server)])
        message = guest.failure(OutboundRequest("GET", server.origin, (("X-Key", PLACEHOLDER),)))
        assert "s3cr" not in message
        assert "s3cr" not in f"{guest.records}"
    with RawServer(lambda request: redirect_to(f"ftp://{request.header('x-key')}")) as server:
        guest = Guest(client, [server.origin], secrets=[secret_of(server)])
        assert "s3cr" not in guest.failure(OutboundRequest("GET", server.origin, (("X-Key", PLACEHOLDER),)))


def redirect_to(location: str) -> list[bytes]:
    return answer(b"", "302 Found", Location=location)


def test_secrets_that_become_longer_in_the_answer_count_as_they_are(client: OutboundClient) -> None:
    with RawServer(lambda _: answer(b"ab" * 1000)) as server:
        secret = HostSecret(PLACEHOLDER, "ab", frozenset([parse_origin(server.origin)]))
        guest = Guest(client, [server.origin], secrets=[secret])
        number = guest.session.start(OutboundRequest("GET", server.origin))
        assert guest.woken.wait(20)
        assert client.memory.held == 1000 * len(PLACEHOLDER)
        assert guest.session.take(number) is not None
        assert client.memory.held == 0


def test_secrets_are_not_looked_for_in_other_codings_of_any_status(client: OutboundClient) -> None:
    with RawServer(lambda _: answer(b"coded", "205 Reset Content", Content_Encoding="br")) as server:
        guest = Guest(client, [server.origin], secrets=[secret_of(server)])
        message = guest.failure(OutboundRequest("GET", server.origin, (("X-Key", PLACEHOLDER),)))
        assert "encoding other than gzip or deflate" in message
