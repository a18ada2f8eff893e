"""Tests of HTTP for handlers of AWS Lambda: events of API Gateway's payload format 2.0, and results."""

import base64
import json
import time
from uuid import UUID

import pytest

from faas.runtime.contracts.lambda_http import event_of, response_of
from faas.runtime.http_messages import HttpRequest, HttpResponse
from faas.runtime.outcome import GuestFault

EXECUTION_ID = UUID("0193a5b0-0000-7000-8000-000000000001")


def request(**changes: object) -> HttpRequest:
    fields: dict[str, object] = {
        "method": "POST",
        "origin": "http://shop.example",
        "base_path": "/f/orders",
        "path": "/items/a%2Fb",
        "query": "x=1&x=2&name=a+b%26c&empty=",
        "headers": (
            ("host", "shop.example"), ("content-type", "application/json"), ("accept", "a"), ("accept", "b"),
            ("cookie", "one=1; two=2"), ("user-agent", "test/1"),
        ),
        "body": b'{"a":1}',
        "client_address": "203.0.113.7",
    }  # fmt: skip
    return HttpRequest(**(fields | changes))  # type: ignore[arg-type]


def event(**changes: object) -> dict[str, object]:
    found: dict[str, object] = json.loads(event_of(request(**changes), EXECUTION_ID.bytes))
    return found


def test_event_has_the_payload_format_2_0() -> None:
    found = event()
    context = found.pop("requestContext")
    assert found == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/items/a%2Fb",
        "rawQueryString": "x=1&x=2&name=a+b%26c&empty=",
        "cookies": ["one=1", "two=2"],
        "headers": {
            "host": "shop.example", "content-type": "application/json", "accept": "a, b", "user-agent": "test/1",
        },
        "queryStringParameters": {"x": "1,2", "name": "a b&c", "empty": ""},
        "body": '{"a":1}',
        "isBase64Encoded": False,
    }  # fmt: skip
    assert isinstance(context, dict)
    assert context["http"] == {
        "method": "POST",
        "path": "/items/a%2Fb",
        "protocol": "HTTP/1.1",
        "sourceIp": "203.0.113.7",
        "userAgent": "test/1",
    }
    assert context["requestId"] == str(EXECUTION_ID)
    assert context["apiId"] == "orders"
    assert (context["stage"], context["domainName"]) == ("$default", "shop.example")
    assert isinstance(context["timeEpoch"], int)


def test_event_without_query_cookies_and_body_leaves_them_out() -> None:
    found = event(query="", headers=(("host", "a"),), body=b"")
    assert not found.keys() & {"queryStringParameters", "cookies", "body"}
    assert found["isBase64Encoded"] is False


@pytest.mark.parametrize(
    ("content_type", "body", "is_base64"),
    [
        ("text/plain; charset=utf-8", b"\xc3\xa9t\xc3\xa9", False),
        ("application/json; charset=utf-8", b"{}", False),
        ("application/xml", b"<a/>", False),
        ("application/vnd.api+json", b"{}", True),
        ("application/jsonlines", b"{}", True),
        ("application/x-www-form-urlencoded", b"a=1", True),
        ("image/png", b"\x89PNG", True),
        ("text/plain", b"\xff", True),
        ("application/octet-stream", b"plain", True),
    ],
)
def test_event_body_is_text_where_its_type_says_so(content_type: str, body: bytes, *, is_base64: bool) -> None:
    found = event(headers=(("content-type", content_type),), body=body)
    assert found["isBase64Encoded"] is is_base64
    assert found["body"] == (base64.b64encode(body).decode() if is_base64 else body.decode())


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ('{"statusCode":201,"body":"made"}', (201, [("content-type", "application/json")], b"made")),
        ('{"statusCode":"404"}', (404, [("content-type", "application/json")], b"")),
        (
            (
                '{"statusCode":200,"headers":{"Content-Type":"text/html","X-Count":3,"X-Yes":true,"X-No":null},'
                '"cookies":["a=1; Path=/","b=2"],"body":"<p>"}'
            ),
            (
                200,
                [
                    ("content-type", "text/html"), ("x-count", "3"), ("x-yes", "true"), ("set-cookie", "a=1; Path=/"),
                    ("set-cookie", "b=2"),
                ],
                b"<p>",
            ),
        ),
        (
            '{"statusCode":200,"multiValueHeaders":{"X-A":["1","2"]},"headers":{"content-type":"text/plain"}}',
            (200, [("content-type", "text/plain"), ("x-a", "1"), ("x-a", "2")], b""),
        ),
        (
            '{"statusCode":200,"body":"iVBO","isBase64Encoded":true,"headers":{"content-type":"image/png"}}',
            (200, [("content-type", "image/png")], b"\x89PN"[:3]),
        ),
        ('{"statusCode":200,"body":{"a":1}}', (200, [("content-type", "application/json")], b'{"a":1}')),
        ('{"hello":"world"}', (200, [("content-type", "application/json")], b'{"hello":"world"}')),
        ('"text"', (200, [("content-type", "application/json")], b'"text"')),
        ("null", (200, [("content-type", "application/json")], b"null")),
        ('{"statusCode":204,"body":"no body here"}', (204, [("content-type", "application/json")], b"")),
    ],
)  # fmt: skip
def test_response_follows_the_rules_of_lambda(result: str, expected: tuple[int, list[tuple[str, str]], bytes]) -> None:
    status, headers, body = expected
    assert response_of(result.encode()) == HttpResponse(status=status, headers=tuple(headers), body=body)


def test_response_header_values_are_utf_8() -> None:
    found = response_of('{"statusCode":200,"headers":{"content-type":"a","x-name":"é"}}'.encode())
    assert found.headers[1] == ("x-name", "\xc3\xa9")


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ('{"statusCode":"ok"}', "statusCode"),
        ('{"statusCode":99}', "status 99"),
        ('{"statusCode":200,"headers":["a"]}', "headers"),
        ('{"statusCode":200,"headers":{"a b":"c"}}', "'a b' is not a name of a header"),
        ('{"statusCode":200,"headers":{"a":"b\\r\\nc: d"}}', "the header a of the response"),
        ('{"statusCode":200,"body":"?","isBase64Encoded":true}', "not base64"),
        ('{"statusCode":200,"cookies":["a\\nb"]}', "the header set-cookie"),
    ],
)
def test_response_that_cannot_be_sent_is_a_fault(result: str, reason: str) -> None:
    with pytest.raises(GuestFault, match=reason):
        response_of(result.encode())


def test_event_of_thousands_of_headers_is_made_in_one_pass() -> None:
    """What fits in the headers of one request took seconds, in which the event loop waited."""
    headers = tuple((f"h{number:x}", "") for number in range(20_000))
    began = time.thread_time()
    assert len(event_of(request(headers=headers), EXECUTION_ID.bytes)) > 20_000
    assert time.thread_time() - began < 2
