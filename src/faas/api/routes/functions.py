"""Routes of functions: register, list, get, change, delete."""

from typing import Any, get_args

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, RawBody

from faas.api import bodies, pagination
from faas.api.responses import json_response
from faas.functions.model import FunctionDraft, Status
from faas.functions.service import Functions
from faas.functions.validation import WASM_LIMIT
from faas.languages import Language

# The largest body that can be valid: a module in base64, and room for the other fields in any escaping.
BODY_LIMIT = (WASM_LIMIT + 2) // 3 * 4 + (256 << 10)
_FILTERS = {"status": get_args(Status), "language": get_args(Language)}


@post("/functions", request_max_body_size=BODY_LIMIT)
async def register_function(
    request: Request[Any, Any, Any], body: RawBody, functions: NamedDependency[Functions]
) -> Response[bytes]:
    """Register a function; it is compiled in the background."""
    function = await functions.register(await _draft(request, body))
    return json_response(function, status=201, headers={"Location": f"/functions/{function.id}"})


@get("/functions")
async def list_functions(request: Request[Any, Any, Any], functions: NamedDependency[Functions]) -> Response[bytes]:
    """List functions, newest first, without their sources."""
    page = pagination.parse("/functions", request.query_params, _FILTERS)
    found = await functions.list(limit=page.limit + 1, cursor=page.cursor, **page.filters)
    shown = found[: page.limit]
    return json_response(shown, headers=pagination.link(page, shown, more=len(found) > len(shown)))


@get("/functions/{reference:str}")
async def get_function(reference: FromPath[str], functions: NamedDependency[Functions]) -> Response[bytes]:
    """Get a function by id or name."""
    return json_response(await functions.get(reference))


@put("/functions/{reference:str}", request_max_body_size=BODY_LIMIT)
async def update_function(
    request: Request[Any, Any, Any], reference: FromPath[str], body: RawBody, functions: NamedDependency[Functions]
) -> Response[bytes]:
    """Replace a function's name, description, language and source."""
    return json_response(await functions.update(reference, await _draft(request, body)))


@delete("/functions/{reference:str}", status_code=204)
async def delete_function(reference: FromPath[str], functions: NamedDependency[Functions]) -> None:
    """Delete a function and its executions."""
    await functions.delete(reference)


async def _draft(request: Request[Any, Any, Any], body: bytes) -> FunctionDraft:
    asked = await bodies.decode(body, request.headers.get("content-type", ""), bodies.function_request)
    return FunctionDraft(**msgspec.structs.asdict(asked))
