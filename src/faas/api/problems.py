"""The only table from errors to status codes, and the one shape in which all of them are answered (RFC 9457)."""

from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import HTTPScope

from faas.api.middleware.request_id import request_id_of
from faas.api.responses import Answer
from faas.api.schemas import Problem
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
_UNAVAILABLE = "the database did not answer in time; try again shortly"

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


def handle(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer any error of a litestar route."""
    found = answer(request.scope, error)
    return Response(found.body, status_code=found.status, media_type=found.media_type, headers=found.headers)


def answer(scope: HTTPScope, error: Exception) -> Answer:
    """Answer any error. What is in no row of the table is our mistake: logged with its trace, answered without it."""
    for kind, status, name in TABLE:
        if isinstance(error, kind):
            headers = {}
            if isinstance(error, Saturated):
                headers["Retry-After"] = str(error.retry_after)
            if isinstance(error, DatabaseUnavailable):
                headers["Retry-After"] = str(_UNAVAILABLE_RETRY_AFTER)
                log.error("request.database_unavailable", error=str(error))
                return _problem(scope, status, name, _UNAVAILABLE, headers)  # where it is, clients need not know
            return _problem(scope, status, name, str(error), headers)
    if isinstance(error, HTTPException):
        return _http_problem(scope, error)
    log.error("request.failed", path=scope["path"], exc_info=error)
    detail = "the server met an error it did not expect; its log has the details under this requestId"
    return _problem(scope, 500, "internal-error", detail)


def _http_problem(scope: HTTPScope, error: HTTPException) -> Answer:
    """What litestar itself refuses: unknown paths, wrong methods, bodies over the limit, broken requests."""
    path, status = scope["path"], error.status_code
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() in {"allow", "retry-after"}}
    if status == HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {path!r}; what there is stands at /schema"
        return _problem(scope, 404, "not-found", detail)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = {name.strip() for name in (headers.get("Allow") or headers.get("allow", "")).split(",")}
        allowed = ", ".join(sorted(methods | {"HEAD", "OPTIONS"} if "GET" in methods else methods | {"OPTIONS"}))
        detail = f"{scope['method']} is not allowed here; {allowed} is"
        return _problem(scope, 405, "method-not-allowed", detail, {"Allow": allowed})
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return _problem(scope, 413, "payload-too-large", "body: larger than this request may be")
    kind = "internal-error" if status >= 500 else "invalid-request"
    return _problem(scope, status, kind, error.detail or HTTPStatus(status).phrase, headers)


def _problem(scope: HTTPScope, status: int, kind: str, detail: str, headers: dict[str, str] | None = None) -> Answer:
    body = Problem(
        type=f"urn:faas:problem:{kind}",
        title=_TITLES.get(kind) or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=scope["path"],
        request_id=request_id_of(scope),
    )
    return Answer(status, msgspec.json.encode(body), "application/problem+json", headers or {})
