"""Routes of functions: create, list, get, update, delete."""

from typing import Any, TypeVar, get_args

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, RawBody

from faas.api import bodies, pagination
from faas.api.access import caller_of
from faas.api.mappers import function_draft, function_response, function_summary_response
from faas.api.responses import json_response
from faas.api.route_table import needs
from faas.api.schemas import FunctionCreateRequest
from faas.function_ref import FunctionRef
from faas.functions.model import FunctionDraft, Status
from faas.functions.service import FunctionService
from faas.functions.validation import WASM_LIMIT_BYTES
from faas.languages import Language

R = TypeVar("R", bound=FunctionCreateRequest)

# The largest body that can be valid: a module in base64, and 256 KiB for the other fields with any escapes.
BODY_LIMIT_BYTES = (WASM_LIMIT_BYTES + 2) // 3 * 4 + (256 << 10)
_FILTERS = {"status": get_args(Status), "language": get_args(Language)}


@post("/functions", opt=needs("deploy"), request_max_body_size=BODY_LIMIT_BYTES)
async def create_function(
    request: Request[Any, Any, Any], body: RawBody, functions: NamedDependency[FunctionService]
) -> Response[bytes]:
    """Create a function, which is compiled in the background."""
    function = await functions.create(
        caller_of(request), await _decode_draft(request, body, bodies.create_request_decoder)
    )
    return json_response(function_response(function), status=201, headers={"Location": f"/functions/{function.id}"})


@get("/functions", opt=needs("read", "deploy"))
async def list_functions(
    request: Request[Any, Any, Any], functions: NamedDependency[FunctionService]
) -> Response[bytes]:
    """List functions, newest first, without their sources."""
    page = pagination.parse_page("/functions", request.query_params, _FILTERS, pagination.parse_id_cursor)
    found = await functions.list(caller_of(request), limit=page.limit + 1, cursor=page.cursor, **page.filters)
    items = found[: page.limit]
    headers = pagination.next_link(page, items[-1].id if len(found) > len(items) else None)
    return json_response([function_summary_response(item) for item in items], headers=headers)


@get("/functions/{reference:str}", opt=needs("read", "deploy"))
async def get_function(
    request: Request[Any, Any, Any], reference: FromPath[str], functions: NamedDependency[FunctionService]
) -> Response[bytes]:
    """Get a function by its id or name, or one of its revisions by `name@N`."""
    function = await functions.get(caller_of(request), FunctionRef.parse(reference))
    return json_response(function_response(function))


@put("/functions/{reference:str}", opt=needs("deploy"), request_max_body_size=BODY_LIMIT_BYTES)
async def update_function(
    request: Request[Any, Any, Any],
    reference: FromPath[str],
    body: RawBody,
    functions: NamedDependency[FunctionService],
) -> Response[bytes]:
    """Replace a function's name and description; other language, source or settings make a new revision."""
    function_ref = FunctionRef.parse_unnumbered(reference)
    draft = await _decode_draft(request, body, bodies.update_request_decoder)
    function = await functions.update(caller_of(request), function_ref, draft)
    return json_response(function_response(function))


@delete("/functions/{reference:str}", opt=needs("deploy"), status_code=204)
async def delete_function(
    request: Request[Any, Any, Any], reference: FromPath[str], functions: NamedDependency[FunctionService]
) -> None:
    """Delete a function, its revisions and its executions."""
    await functions.delete(caller_of(request), FunctionRef.parse_unnumbered(reference))


async def _decode_draft(
    request: Request[Any, Any, Any], body: bytes, decoder: msgspec.json.Decoder[R]
) -> FunctionDraft:
    content_type = request.headers.get("content-type", "")
    decoded: R = await bodies.decode(body, content_type, decoder)
    return function_draft(decoded)
