"""The contract lambda behind HTTP: events of API Gateway, payload format 2.0, and what a handler's result means.

See https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html. What only
AWS has (accounts, stages) has a fixed value.
"""

import base64
import binascii
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec

from faas.runtime.contracts.responses import checked_response
from faas.runtime.http_messages import HttpRequest, HttpResponse
from faas.runtime.outcome import GuestFault

# What AWS passes as text; everything else, such as forms, is in base64 there
# (measured in https://github.com/ministackorg/ministack/pull/766).
_TEXT = re.compile(r"\s*(text/|application/(json|javascript|xml)\s*(;|$))", re.IGNORECASE)
_JSON = ("content-type", "application/json")
_ROUTE = _STAGE = "$default"


class _Result(msgspec.Struct, rename="camel"):
    """What a handler returns to say more than a body."""

    status_code: int | str
    headers: dict[str, str | int | float | bool | None] | None = None
    multi_value_headers: dict[str, list[str | int | float | bool]] | None = None
    cookies: list[str] | None = None
    body: Any = None
    is_base64_encoded: bool | None = False


def event_of(request: HttpRequest, execution_id: bytes) -> bytes:
    """Return the event of a request, JSON."""
    headers = _headers_by_name(request)
    cookies = [cookie for name, value in request.headers if name == "cookie" for cookie in re.split(r";\s*", value)]
    now = time.time()
    body, is_base64 = _body_of(request)
    event: dict[str, object] = {
        "version": "2.0",
        "routeKey": _ROUTE,
        "rawPath": request.path,
        "rawQueryString": request.query,
        **({"cookies": cookies} if cookies else {}),
        "headers": headers,
        **({"queryStringParameters": _query_of(request.query)} if request.query else {}),
        "requestContext": {
            "accountId": "anonymous",
            "apiId": request.base_path.rpartition("/")[2],
            "domainName": headers.get("host", ""),
            "domainPrefix": headers.get("host", "").partition(".")[0],
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.client_address,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(UUID(bytes=execution_id)),
            "routeKey": _ROUTE,
            "stage": _STAGE,
            "time": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now * 1000),
        },
        **({} if body is None else {"body": body}),
        "isBase64Encoded": is_base64,
    }
    return msgspec.json.encode(event)


def response_of(output: bytes) -> HttpResponse:
    """Return the response that the result of a handler means. Raises GuestFault."""
    try:
        result = msgspec.json.decode(output)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        result = None  # the output has what only JSON of JavaScript has, so it is no result with a status
    if not isinstance(result, dict) or "statusCode" not in result:
        return checked_response(200, [_JSON], output)
    try:
        found = msgspec.convert(result, _Result)
        status = int(found.status_code)
    except (msgspec.ValidationError, ValueError) as error:
        raise GuestFault(f"the handler returned a statusCode, and what is not accepted with it: {error}") from None
    headers = list(_headers_of(found))
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(_JSON)
    return checked_response(status, headers, _bytes_of(found))


def _headers_by_name(request: HttpRequest) -> dict[str, str]:
    """Return the headers but cookies, those of one name joined by commas. In one pass: there may be thousands."""
    found: dict[str, list[str]] = {}
    for name, value in request.headers:
        if name != "cookie":
            found.setdefault(name, []).append(value)
    return {name: ", ".join(values) for name, values in found.items()}


def _body_of(request: HttpRequest) -> tuple[str | None, bool]:
    """Return the body of an event, and whether it is base64, as it is where the type does not say that it is text."""
    if not request.body:
        return None, False
    if _TEXT.match(request.header("content-type") or ""):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True


def _query_of(query: str) -> dict[str, str]:
    """Return the parameters, those of one name joined by commas."""
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, max_num_fields=None):
        found.setdefault(name, []).append(value)
    return {name: ",".join(values) for name, values in found.items()}


def _headers_of(result: _Result) -> Iterator[tuple[str, str]]:
    for name, value in (result.headers or {}).items():
        if value is not None:
            yield name, _text(value)
    for name, values in (result.multi_value_headers or {}).items():
        for value in values:
            yield name, _text(value)
    for cookie in result.cookies or []:
        yield "set-cookie", cookie


def _text(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text.encode().decode("latin-1")  # each byte is a character of a header


def _bytes_of(result: _Result) -> bytes:
    body = result.body
    if body is None:
        return b""
    if not isinstance(body, str):
        return msgspec.json.encode(body)
    if not result.is_base64_encoded:
        return body.encode("utf-8", "replace")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise GuestFault("the handler returned isBase64Encoded, and a body that is not base64") from None
