"""Routes of executions: execute, list, get."""

from typing import Any, get_args

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, RawBody

from faas.api import bodies, pagination
from faas.api.responses import json_response
from faas.api.wire import execution_record_response, execution_response
from faas.errors import InvalidRequest
from faas.executions.model import Status
from faas.executions.service import Executions
from faas.functions.validation import parse_reference, parse_uuid

_FILTERS = {"status": get_args(Status)}


@post("/functions/{reference:str}/execute", status_code=200)
async def execute_function(
    request: Request[Any, Any, Any], reference: FromPath[str], body: RawBody, executions: NamedDependency[Executions]
) -> Response[bytes]:
    """Execute a function. What the function does wrong is a 200 with status FAILED."""
    function_id, name = parse_reference(reference)
    execution = await executions.execute(function_id, name, await bodies.execution_input(body, request.headers))
    return json_response(execution_response(execution))


@get("/functions/{reference:str}/executions")
async def list_executions(
    request: Request[Any, Any, Any], reference: FromPath[str], executions: NamedDependency[Executions]
) -> Response[bytes]:
    """List a function's executions, newest first."""
    function_id, name = parse_reference(reference)
    page = pagination.parse(f"/functions/{reference}/executions", request.query_params, _FILTERS)
    shown, more = await executions.list(function_id, name, limit=page.limit, cursor=page.cursor, **page.filters)
    headers = pagination.link(page, shown, more)
    return json_response([execution_response(execution) for execution in shown], headers=headers)


@get("/executions/{execution_id:str}")
async def get_execution(execution_id: FromPath[str], executions: NamedDependency[Executions]) -> Response[bytes]:
    """Get an execution with its input and what it printed."""
    parsed = parse_uuid(execution_id)
    if parsed is None:
        raise InvalidRequest("id", f"{execution_id[:100]!r} is not a UUID")
    return json_response(execution_record_response(await executions.get(parsed)))
