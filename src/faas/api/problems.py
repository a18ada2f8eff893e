"""The only table of errors to status codes, and the RFC 9457 problem that answers all of them."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

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
    FunctionLimitReached,
    FunctionNotReady,
    InvalidRequest,
    NameTaken,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    RevisionConflict,
    Saturated,
    SecretInUse,
    SecretKeyUnavailable,
    TokenNameTaken,
    TooManyAttempts,
)
from faas.runtime import Failure

log = structlog.get_logger()


class ProblemKind(msgspec.Struct, frozen=True):
    """A kind of problem. Its type is `urn:faas:problem:{name}`."""

    status: int
    name: str
    title: str


INVALID_REQUEST = ProblemKind(400, "invalid-request", "The request is not valid")
_FUNCTION_NOT_READY = ProblemKind(400, "function-not-ready", "The function is not READY")
_NOT_AUTHENTICATED = ProblemKind(401, "not-authenticated", "A token is needed")
_NOT_ALLOWED = ProblemKind(403, "not-allowed", "The token does not allow this")
CROSS_ORIGIN = ProblemKind(403, "cross-origin-request", "The web page may not send this")
_NOT_FOUND = ProblemKind(404, "not-found", "Not found")
_METHOD_NOT_ALLOWED = ProblemKind(405, "method-not-allowed", "Method Not Allowed")
REQUEST_TIMEOUT = ProblemKind(408, "request-timeout", "Request Timeout")
_NAME_TAKEN = ProblemKind(409, "name-taken", "The name is taken")
_REVISION_CONFLICT = ProblemKind(409, "revision-conflict", "The revisions do not allow this")
_SECRET_IN_USE = ProblemKind(409, "secret-in-use", "The secret is in use")
_SECRET_KEY_UNAVAILABLE = ProblemKind(409, "secret-key-unavailable", "The key of the secrets is not there")
_PAYLOAD_TOO_LARGE = ProblemKind(413, "payload-too-large", "The request is too large")
UNSUPPORTED_CONTENT_ENCODING = ProblemKind(415, "unsupported-content-encoding", "The content coding is not supported")
MISDIRECTED_REQUEST = ProblemKind(421, "misdirected-request", "Misdirected Request")
_SATURATED = ProblemKind(429, "saturated", "Too many executions in flight")
_LIMIT_REACHED = ProblemKind(429, "function-limit-reached", "A limit of the function is reached")
_TOO_MANY_ATTEMPTS = ProblemKind(429, "too-many-attempts", "Too many failed authentications")
_RATE_LIMITED = ProblemKind(429, "rate-limited", "The token is used too often")
HEADERS_TOO_LARGE = ProblemKind(431, "headers-too-large", "Request Header Fields Too Large")
_INTERNAL_ERROR = ProblemKind(500, "internal-error", "Internal error")
_FUNCTION_FAILED = ProblemKind(500, "function-failed", "The function failed")
NOT_IMPLEMENTED = ProblemKind(501, "not-implemented", "Not Implemented")
_DATABASE_UNAVAILABLE = ProblemKind(503, "database-unavailable", "The database is unavailable")

# The first class that an error is an instance of decides, so subclasses come before their base classes.
_KINDS_BY_ERROR: tuple[tuple[type[Exception], ProblemKind], ...] = (
    (PayloadTooLarge, _PAYLOAD_TOO_LARGE),
    (InvalidRequest, INVALID_REQUEST),
    (FunctionNotReady, _FUNCTION_NOT_READY),
    (NotFound, _NOT_FOUND),
    (NameTaken, _NAME_TAKEN),
    (TokenNameTaken, _NAME_TAKEN),
    (NotAuthenticated, _NOT_AUTHENTICATED),
    (NotAllowed, _NOT_ALLOWED),
    (TooManyAttempts, _TOO_MANY_ATTEMPTS),
    (RateLimited, _RATE_LIMITED),
    (RevisionConflict, _REVISION_CONFLICT),
    (SecretInUse, _SECRET_IN_USE),
    (SecretKeyUnavailable, _SECRET_KEY_UNAVAILABLE),
    (Saturated, _SATURATED),
    (FunctionLimitReached, _LIMIT_REACHED),
    (DatabaseUnavailable, _DATABASE_UNAVAILABLE),
)
_UNAVAILABLE_RETRY_AFTER_SECONDS = 2
# Of HTTP endpoints, where a status says what the caller of the function is to do.
_FUNCTION_UNAVAILABLE = ProblemKind(503, "function-unavailable", "The function is not READY")
_REFUSED_REQUEST = ProblemKind(400, "request-refused", "The function cannot be called with this request")
_TIMED_OUT = ProblemKind(504, "function-timed-out", "The function exceeded its time limit")
_NOT_READY_RETRY_AFTER_SECONDS = 2
EXECUTION_ID_HEADER = "Faas-Execution-Id"


def handle_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer any error of a litestar route."""
    answer = answer_error(request.scope, error)
    return Response(answer.body, status_code=answer.status, media_type=answer.media_type, headers=answer.headers)


def answer_error(scope: HTTPScope, error: Exception) -> Answer:
    """Return the answer for any error. An error that is not in the table is logged with its trace and answered 500."""
    for error_class, kind in _KINDS_BY_ERROR:
        if isinstance(error, error_class):
            return _answer_known(scope, kind, error)
    if isinstance(error, HTTPException):
        return _answer_http_exception(scope, error)
    log.error("request.failed", path=scope["path"], exc_info=error)
    detail = "the server failed unexpectedly; its log has the details under this requestId"
    return _answer(scope, _INTERNAL_ERROR, detail)


def answer_endpoint_error(scope: HTTPScope, error: Exception) -> Answer:
    """Return the answer of an HTTP endpoint for an error that is not the function's.

    Who calls a function may be anyone, so the compile error is not shown.
    """
    if not isinstance(error, FunctionNotReady):
        return answer_error(scope, error)
    detail = "the function has no revision that is READY; try again shortly"
    return _answer(scope, _FUNCTION_UNAVAILABLE, detail, {"Retry-After": str(_NOT_READY_RETRY_AFTER_SECONDS)})


def answer_failed_execution(scope: HTTPScope, execution_id: UUID, failure: Failure | None, error: str) -> Answer:
    """Return the answer of an HTTP endpoint for a FAILED execution. What the function said is on its record alone."""
    kind, detail = _FUNCTION_FAILED, "the execution failed; its record says why"
    if failure == "time":
        kind, detail = _TIMED_OUT, "the execution exceeded the time limit of the function"
    elif failure == "request":
        kind, detail = _REFUSED_REQUEST, error
    return answer_problem(
        kind,
        detail,
        request_id=request_id_of(scope),
        instance=scope["path"],
        headers={EXECUTION_ID_HEADER: str(execution_id)},
        execution_id=execution_id,
    )


def answer_problem(
    kind: ProblemKind,
    detail: str,
    *,
    request_id: str,
    instance: str = "",
    headers: dict[str, str] | None = None,
    missing_scope: str | None = None,
    execution_id: UUID | None = None,
) -> Answer:
    """Return the answer with a problem of `kind`. `instance` is the path of the request, if it was parsed that far."""
    problem = Problem(
        type=f"urn:faas:problem:{kind.name}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=instance,
        request_id=request_id,
        missing_scope=missing_scope or msgspec.UNSET,
        execution_id=execution_id or msgspec.UNSET,
    )
    return Answer(kind.status, msgspec.json.encode(problem), "application/problem+json", headers or {})


def _answer_known(scope: HTTPScope, kind: ProblemKind, error: Exception) -> Answer:
    if isinstance(error, DatabaseUnavailable):  # its message says where the database is: for the log only
        log.error("request.database_unavailable", error=str(error))
        detail = "the database did not answer in time; try again shortly"
        return _answer(scope, kind, detail, {"Retry-After": str(_UNAVAILABLE_RETRY_AFTER_SECONDS)})
    if isinstance(error, NotAuthenticated):
        return _answer(scope, kind, str(error), {"WWW-Authenticate": "Bearer"})
    if isinstance(error, NotAllowed):
        return _answer(scope, kind, str(error), missing_scope=error.missing_scope)
    if isinstance(error, RateLimited):
        return _answer(scope, kind, str(error), {"Retry-After": str(error.retry_after), **error.headers})
    if isinstance(error, Saturated | FunctionLimitReached | TooManyAttempts):
        return _answer(scope, kind, str(error), {"Retry-After": str(error.retry_after)})
    return _answer(scope, kind, str(error))


def _answer_http_exception(scope: HTTPScope, error: HTTPException) -> Answer:
    """Return the answer for an error of litestar: an unknown path, a wrong method, a large body, a broken request."""
    status = error.status_code
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() in {"allow", "retry-after"}}
    if status == HTTPStatus.NOT_FOUND:
        return _answer(scope, _NOT_FOUND, f"there is nothing at {scope['path']!r}; /schema lists the paths")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{scope['method']} is not allowed here; accepted: {headers.get('Allow', '')}"
        return _answer(scope, _METHOD_NOT_ALLOWED, detail, headers)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return _answer(scope, _PAYLOAD_TOO_LARGE, "body: larger than the limit of this request")
    kind = _INTERNAL_ERROR if status >= 500 else INVALID_REQUEST
    detail = error.detail or HTTPStatus(status).phrase
    return _answer(scope, msgspec.structs.replace(kind, status=status), detail, headers)


def _answer(
    scope: HTTPScope,
    kind: ProblemKind,
    detail: str,
    headers: dict[str, str] | None = None,
    *,
    missing_scope: str | None = None,
) -> Answer:
    return answer_problem(
        kind,
        detail,
        request_id=request_id_of(scope),
        instance=scope["path"],
        headers=headers,
        missing_scope=missing_scope,
    )
