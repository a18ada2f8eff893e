"""The ASGI application: routes, middleware and the services that they use."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from faas.access.service import TokenService
from faas.api import problems
from faas.api.access import AccessGate
from faas.api.endpoint import EndpointHandler
from faas.api.hosts import HostPolicy
from faas.api.invocation import InvocationHandler
from faas.api.metrics_text import metrics_text
from faas.api.middleware import execute
from faas.api.middleware.access import AccessMiddleware
from faas.api.middleware.content_encoding import ContentEncodingMiddleware
from faas.api.middleware.cross_origin import CrossOriginMiddleware
from faas.api.middleware.endpoint import EndpointMiddleware
from faas.api.middleware.execute import ExecuteMiddleware
from faas.api.middleware.host import HostMiddleware
from faas.api.middleware.methods import MethodsMiddleware
from faas.api.middleware.request_id import RequestIdMiddleware
from faas.api.route_table import RouteTable, routes_of
from faas.api.routes import audit, executions, functions, revisions, secrets, system, tokens
from faas.audit import AuditTrail
from faas.executions.service import ExecutionService
from faas.functions.revisions import RevisionService
from faas.functions.service import FunctionService
from faas.peers import Peers
from faas.secret_store.service import SecretService

HANDLERS: Sequence[HTTPRouteHandler] = (
    functions.create_function,
    functions.list_functions,
    functions.get_function,
    functions.update_function,
    functions.delete_function,
    revisions.list_revisions,
    revisions.get_revision,
    revisions.promote_revision,
    revisions.roll_back_function,
    executions.list_executions,
    executions.get_execution,
    tokens.create_token,
    tokens.list_tokens,
    tokens.revoke_token,
    secrets.set_secret,
    secrets.list_secrets,
    secrets.get_secret,
    secrets.delete_secret,
    audit.list_audit,
    system.get_health,
    system.get_metrics,
    system.get_api_page,
    system.get_openapi,
    system.get_asset,
)

# A process of the role compiler needs the same monitoring as the others.
COMPILER_HANDLERS: Sequence[HTTPRouteHandler] = (system.get_health, system.get_metrics, system.reject_other_role)

_ENVELOPE_BYTES = 64 << 10  # of an execution request, around its input


def create_application(
    *,
    functions_service: FunctionService,
    revisions_service: RevisionService,
    executions_service: ExecutionService,
    tokens_service: TokenService,
    secrets_service: SecretService,
    audit_trail: AuditTrail,
    gate: AccessGate,
    invocations: InvocationHandler,
    endpoints: EndpointHandler,
    check_health: system.HealthCheck,
    update_metrics: system.MetricsUpdate,
    input_limit: int,
    hosts: HostPolicy,
    cors_origins: Sequence[str] = (),
    peers: Peers | None = None,
) -> ASGIApp:
    """Return the application over these services, which the caller opens and closes.

    `peers` are the other workers of a server that has several.
    """
    services = {
        "functions": functions_service,
        "revisions": revisions_service,
        "executions": executions_service,
        "tokens": tokens_service,
        "secrets": secrets_service,
        "audit": audit_trail,
        "check_health": check_health,
        "update_metrics": update_metrics,
        "metrics_text": partial(metrics_text, peers=peers),
    }
    body_limit = input_limit + _ENVELOPE_BYTES
    application: ASGIApp = ExecuteMiddleware(_create_litestar(HANDLERS, services, body_limit), invocations, body_limit)
    routes = RouteTable([execute.ROUTE, *routes_of(HANDLERS)])
    application = MethodsMiddleware(ContentEncodingMiddleware(application, routes), routes)
    application = CrossOriginMiddleware(AccessMiddleware(application, gate, routes), cors_origins)
    application = EndpointMiddleware(application, endpoints, gate, input_limit)
    return RequestIdMiddleware(HostMiddleware(application, hosts))


def create_compiler_application(
    *, gate: AccessGate, check_health: system.HealthCheck, update_metrics: system.MetricsUpdate, hosts: HostPolicy
) -> ASGIApp:
    """Return the application of the role compiler: health and metrics, and a 404 that explains the role elsewhere."""
    services = {"check_health": check_health, "update_metrics": update_metrics, "metrics_text": metrics_text}
    application: ASGIApp = _create_litestar(COMPILER_HANDLERS, services, _ENVELOPE_BYTES)
    routes = RouteTable(routes_of(COMPILER_HANDLERS))
    application = AccessMiddleware(MethodsMiddleware(application, routes), gate, routes)
    return RequestIdMiddleware(HostMiddleware(application, hosts))


def _create_litestar(handlers: Sequence[HTTPRouteHandler], services: dict[str, Any], body_limit: int) -> Litestar:
    def provide(service: Any) -> Provide:
        return Provide(lambda: service, sync_to_thread=False, use_cache=True)

    return Litestar(
        route_handlers=handlers,
        dependencies={name: provide(service) for name, service in services.items()},
        exception_handlers={Exception: problems.handle_exception},
        request_max_body_size=body_limit,
        openapi_config=None,
        logging_config=None,
    )
