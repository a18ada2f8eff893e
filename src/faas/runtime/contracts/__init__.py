"""How a function is called by its contract: with the input of an execution, or with an HTTP request.

| contract | input | HTTP request |
|---|---|---|
| json, wasi | input in, output out | the body, or {}, in; the output is the body of a 200 |
| lambda | input as the event | an event of API Gateway in; the result says what the response is |
| fetch | a POST with the input as its body; the response's body is the output | as it is |
"""

from typing import TypeAlias

from faas import json_documents
from faas.runtime.contracts import fetch, lambda_http
from faas.runtime.engine_module import FunctionImage
from faas.runtime.host_context import current
from faas.runtime.http_messages import HttpRequest, HttpResponse
from faas.runtime.instance import Instance
from faas.runtime.limits import Limits
from faas.runtime.linked_module import Module
from faas.runtime.outcome import RequestFault

__all__ = ["HttpRequest", "HttpResponse", "Input", "call", "size_of"]

Input: TypeAlias = bytes | HttpRequest
"""What a function is called with: a JSON document, or a request."""


def size_of(given: Input) -> int:
    """Return the bytes of a document, or of the body of a request."""
    return len(given) if isinstance(given, bytes) else len(given.body)


def call(module: Module | FunctionImage, instance: Instance, given: Input, limits: Limits) -> bytes | HttpResponse:
    """Call the function. Returns its output, a JSON document that is not checked yet, or its response to a request.

    The response to a request is an output where the contract knows no others. Raises GuestFault, RequestFault,
    MustRunInThread and c_api.CallFailed.
    """
    invoke = module.convention.invoke
    if isinstance(given, bytes):
        if module.contract != "fetch":
            return invoke(instance, given, limits.output)
        return fetch.output_of(fetch.serve(module.convention, instance, fetch.request_with(given), limits.output))
    if module.contract == "fetch":
        return fetch.serve(module.convention, instance, given, limits.output)
    if module.contract == "lambda":
        event = lambda_http.event_of(given, current().execution_id())
        return lambda_http.response_of(invoke(instance, event, limits.output))
    return invoke(instance, _document_of(given), limits.output)


def _document_of(request: HttpRequest) -> bytes:
    """Return the JSON document in the body of a request; {} where there is none. Raises RequestFault."""
    if not request.body.strip():
        return b"{}"
    try:
        json_documents.check(request.body)
    except json_documents.NotJSON as error:
        raise RequestFault(f"the body is not JSON, with which this function is called: {error}") from None
    return request.body
