"""The contract fetch: a function that takes a request and returns a response, as Workers do."""

from http import HTTPStatus

import msgspec

from faas import json_documents
from faas.runtime import frames
from faas.runtime.abi.convention import CallingConvention
from faas.runtime.contracts.responses import checked_response
from faas.runtime.http_messages import HttpRequest, HttpResponse
from faas.runtime.instance import Instance
from faas.runtime.outcome import GuestFault

_ORIGIN = "http://localhost"
_JSON = (("content-type", "application/json"),)
_BODY_SHOWN_BYTES = 500


def request_with(document: bytes) -> HttpRequest:
    """Return the request that `execute` makes."""
    return HttpRequest(
        method="POST", origin=_ORIGIN, base_path="", path="/", query="", headers=_JSON, body=document, client_address=""
    )


def serve(convention: CallingConvention, instance: Instance, request: HttpRequest, output_limit: int) -> HttpResponse:
    """Pass a request to the function and return its response. Raises what `call` raises."""
    assert convention.serve
    head = frames.RequestHead(method=request.method, url=request.url, headers=request.headers)
    answer = convention.serve(instance, frames.encode(head, request.body), output_limit)
    try:
        response, body = frames.decode_response(answer)
    except frames.MalformedFrame as error:
        raise GuestFault(f"the engine's response cannot be read: {error}") from None
    return checked_response(response.status, response.headers, body)


def output_of(response: HttpResponse) -> bytes:
    """Return the body of a response as an output: JSON as it is, and other text as a string.

    Raises GuestFault for a status that is not a success, and for bytes that are no text.
    """
    if response.status // 100 != HTTPStatus.OK // 100:
        shown = response.body[:_BODY_SHOWN_BYTES].decode("utf-8", "replace").strip()
        raise GuestFault(f"the function answered {response.status}{': ' if shown else ''}{shown}")
    body = response.body.strip()
    if not body:
        return b"null"
    says_json = any(name == "content-type" and "json" in value for name, value in response.headers)
    try:
        if not says_json:
            json_documents.check(body)
    except json_documents.NotJSON:
        try:
            return msgspec.json.encode(response.body.decode())
        except UnicodeDecodeError:
            reason = "the response is neither JSON nor text, so it is no output: call the function as an HTTP endpoint"
            raise GuestFault(reason) from None
    return body
