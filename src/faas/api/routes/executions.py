"""Routes of executions: list, get. Executing a function is in api/invocation.py."""

from typing import Any, get_args

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from faas.api import pagination
from faas.api.access import caller_of
from faas.api.mappers import execution_record_response, execution_response
from faas.api.responses import json_response
from faas.api.route_table import needs
from faas.errors import InvalidRequest
from faas.executions.model import Status
from faas.executions.service import ExecutionService
from faas.function_ref import FunctionRef, parse_uuid

_FILTERS = {"status": get_args(Status)}


@get("/functions/{reference:str}/executions", opt=needs("read"))
async def list_executions(
    request: Request[Any, Any, Any], reference: FromPath[str], executions: NamedDependency[ExecutionService]
) -> Response[bytes]:
    """List a function's executions, newest first."""
    function_ref = FunctionRef.parse_unnumbered(reference)
    path = f"/functions/{reference}/executions"
    page = pagination.parse_page(path, request.query_params, _FILTERS, pagination.parse_id_cursor)
    items, more = await executions.list(
        caller_of(request), function_ref, limit=page.limit, cursor=page.cursor, **page.filters
    )
    headers = pagination.next_link(page, items[-1].id if more else None)
    return json_response([execution_response(item) for item in items], headers=headers)


@get("/executions/{execution_id:str}", opt=needs("read", "invoke"))
async def get_execution(
    request: Request[Any, Any, Any], execution_id: FromPath[str], executions: NamedDependency[ExecutionService]
) -> Response[bytes]:
    """Get an execution with its input and its logs."""
    parsed = parse_uuid(execution_id)
    if parsed is None:
        raise InvalidRequest("id", f"{execution_id[:100]!r} is not a UUID")
    return json_response(execution_record_response(await executions.get(caller_of(request), parsed)))
