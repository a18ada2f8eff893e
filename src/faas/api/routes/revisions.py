"""Routes of revisions: list, get, promote, roll back."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, RawBody

from faas.api import bodies, pagination
from faas.api.access import caller_of
from faas.api.mappers import function_response, revision_response
from faas.api.responses import json_response
from faas.api.route_table import needs
from faas.function_ref import FunctionRef, parse_revision
from faas.functions.revisions import RevisionService


@get("/functions/{reference:str}/revisions", opt=needs("read", "deploy"))
async def list_revisions(
    request: Request[Any, Any, Any], reference: FromPath[str], revisions: NamedDependency[RevisionService]
) -> Response[bytes]:
    """List a function's revisions, newest first."""
    function_ref = FunctionRef.parse_unnumbered(reference)
    page = pagination.parse_page(
        f"/functions/{reference}/revisions", request.query_params, {}, pagination.parse_number_cursor
    )
    items, more = await revisions.list(caller_of(request), function_ref, limit=page.limit, before=page.cursor)
    headers = pagination.next_link(page, items[-1].revision if more else None)
    return json_response([revision_response(item) for item in items], headers=headers)


@get("/functions/{reference:str}/revisions/{number:str}", opt=needs("read", "deploy"))
async def get_revision(
    request: Request[Any, Any, Any],
    reference: FromPath[str],
    number: FromPath[str],
    revisions: NamedDependency[RevisionService],
) -> Response[bytes]:
    """Get a revision with its source."""
    function_ref = FunctionRef.parse_unnumbered(reference)
    revision = await revisions.get(caller_of(request), function_ref, parse_revision(number))
    return json_response(revision_response(revision))


@post("/functions/{reference:str}/promote", opt=needs("deploy"), status_code=200)
async def promote_revision(
    request: Request[Any, Any, Any],
    reference: FromPath[str],
    body: RawBody,
    revisions: NamedDependency[RevisionService],
) -> Response[bytes]:
    """Make a READY revision the live one."""
    function_ref = FunctionRef.parse_unnumbered(reference)
    content_type = request.headers.get("content-type", "")
    requested = await bodies.decode(body, content_type, bodies.promote_request_decoder)
    promoted = await revisions.promote(caller_of(request), function_ref, requested.revision)
    return json_response(function_response(promoted))


@post("/functions/{reference:str}/rollback", opt=needs("deploy"), status_code=200)
async def roll_back_function(
    request: Request[Any, Any, Any],
    reference: FromPath[str],
    body: RawBody,
    revisions: NamedDependency[RevisionService],
) -> Response[bytes]:
    """Make the revision live that was live before the present one. The body is empty or an empty object."""
    function_ref = FunctionRef.parse_unnumbered(reference)
    if body:
        await bodies.decode(body, request.headers.get("content-type", ""), bodies.empty_request_decoder)
    return json_response(function_response(await revisions.roll_back(caller_of(request), function_ref)))
