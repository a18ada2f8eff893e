"""The only table from errors to status codes, and the one shape in which all of them are answered (RFC 9457)."""

from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from faas.api.request_id import request_id_of
from faas.api.wire import Problem
from faas.errors import (
    DatabaseUnavailable,
    FunctionNotReady,
    InvalidRequest,
    NameTaken,
    NotFound,
    PayloadTooLarge,
    Saturated,
)

log = structlog.get_logger()

# The first class that fits; subclasses stand before what they derive from.
TABLE: tuple[tuple[type[Exception], int, str], ...] = (
    (PayloadTooLarge, 413, "payload-too-large"),
    (InvalidRequest, 400, "invalid-request"),
    (FunctionNotReady, 400, "function-not-ready"),
    (NotFound, 404, "not-found"),
    (NameTaken, 409, "name-taken"),
    (Saturated, 429, "saturated"),
    (DatabaseUnavailable, 503, "database-unavailable"),
)
_UNAVAILABLE_RETRY_AFTER = 2

_TITLES = {
    "payload-too-large": "The request is too large",
    "invalid-request": "The request is not valid",
    "function-not-ready": "The function is not READY",
    "not-found": "Not found",
    "name-taken": "The name is taken",
    "saturated": "Too many executions in flight",
    "database-unavailable": "The database is unavailable",
    "internal-error": "Internal error",
}


def problem(
    request: Request[Any, Any, Any], status: int, kind: str, detail: str, headers: dict[str, str] | None = None
) -> Response[bytes]:
    """A problem document as the response."""
    body = Problem(
        type=f"urn:faas:problem:{kind}",
        title=_TITLES.get(kind) or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.scope["path"],
        request_id=request_id_of(request.scope),
    )
    return Response(
        msgspec.json.encode(body), status_code=status, media_type="application/problem+json", headers=headers or {}
    )


def handle(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer any error. What is in no row of the table is our mistake: logged with its trace, answered without it."""
    for kind, status, name in TABLE:
        if isinstance(error, kind):
            headers = {}
            if isinstance(error, Saturated):
                headers["Retry-After"] = str(error.retry_after)
            if isinstance(error, DatabaseUnavailable):
                headers["Retry-After"] = str(_UNAVAILABLE_RETRY_AFTER)
                log.error("request.database_unavailable", error=str(error))
            return problem(request, status, name, str(error), headers)
    if isinstance(error, HTTPException):
        return _http_problem(request, error)
    log.error("request.failed", path=request.scope["path"], exc_info=error)
    detail = "the server met an error it did not expect; its log has the details under this requestId"
    return problem(request, 500, "internal-error", detail)


def _http_problem(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What litestar itself refuses: unknown paths, wrong methods, bodies over the limit, broken requests."""
    path, status = request.scope["path"], error.status_code
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() in {"allow", "retry-after"}}
    if status == HTTPStatus.NOT_FOUND:
        return problem(request, 404, "not-found", f"there is nothing at {path!r}")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = headers.get("Allow") or headers.get("allow", "")
        return problem(
            request, 405, "method-not-allowed", f"{request.method} is not allowed here; {allowed} is", headers
        )
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return problem(request, 413, "payload-too-large", "body: larger than this request may be")
    kind = "internal-error" if status >= 500 else "invalid-request"
    return problem(request, status, kind, error.detail or HTTPStatus(status).phrase, headers)
