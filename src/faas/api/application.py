"""The ASGI application: the routes over the services they need."""

from typing import Any

from litestar import Litestar
from litestar.di import Provide
from litestar.types import ASGIApp

from faas.api import problems
from faas.api.middleware.execute import Execute
from faas.api.middleware.methods import Methods
from faas.api.middleware.request_id import RequestIds
from faas.api.routes import executions, functions, system
from faas.executions.service import ExecutionService
from faas.functions.service import Functions

ROUTES = [
    functions.create_function,
    functions.list_functions,
    functions.get_function,
    functions.update_function,
    functions.delete_function,
    executions.list_executions,
    executions.get_execution,
    system.get_health,
    system.get_metrics,
    system.get_api_page,
    system.get_openapi,
    system.get_asset,
]

# What a process that only compiles serves: an operator looks after it as after any other.
COMPILER_ROUTES = [system.get_health, system.get_metrics, system.reject_other_role]

# An execution request is its input and a few bytes around it.
_ENVELOPE = 64 << 10


def create_application(
    *,
    functions_service: Functions,
    executions_service: ExecutionService,
    check_health: system.HealthCheck,
    update_metrics: system.MetricsUpdate,
    input_limit: int,
) -> ASGIApp:
    """The application over these services. It owns nothing: whoever opened the services closes them."""
    services = {
        "functions": functions_service,
        "executions": executions_service,
        "check_health": check_health,
        "update_metrics": update_metrics,
    }
    body_limit = input_limit + _ENVELOPE
    application = _application(ROUTES, services, body_limit)
    return RequestIds(Methods(Execute(application, executions_service, body_limit)))


def create_compiler_application(*, check_health: system.HealthCheck, update_metrics: system.MetricsUpdate) -> ASGIApp:
    """The application of a process that only compiles: health and metrics, and where the rest is."""
    services = {"check_health": check_health, "update_metrics": update_metrics}
    return RequestIds(Methods(_application(COMPILER_ROUTES, services, _ENVELOPE)))


def _application(routes: list[Any], services: dict[str, Any], body_limit: int) -> Litestar:
    def provided(value: Any) -> Provide:
        return Provide(lambda: value, sync_to_thread=False, use_cache=True)

    return Litestar(
        route_handlers=routes,
        dependencies={name: provided(service) for name, service in services.items()},
        exception_handlers={Exception: problems.handle},
        request_max_body_size=body_limit,
        openapi_config=None,
        logging_config=None,
    )
