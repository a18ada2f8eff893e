"""The ASGI application: the routes over the services they need."""

from typing import Any

from litestar import Litestar
from litestar.di import Provide
from litestar.types import ASGIApp

from faas.api import errors, executions, functions, system
from faas.api.execute import Execute
from faas.api.request_id import RequestIds
from faas.executions.service import Executions
from faas.functions.service import Functions

ROUTES = [
    functions.register_function,
    functions.list_functions,
    functions.get_function,
    functions.update_function,
    functions.delete_function,
    executions.list_executions,
    executions.get_execution,
    system.health,
    system.health_head,
    system.metrics,
    system.schema,
    system.openapi,
    system.asset,
]

# An execution request is its input and a few bytes around it.
_ENVELOPE = 64 << 10


def create_application(
    *,
    functions_service: Functions,
    executions_service: Executions,
    check_health: system.HealthCheck,
    update_metrics: system.MetricsUpdate,
    input_limit: int,
) -> ASGIApp:
    """The application over these services. It owns nothing: whoever opened the services closes them."""

    def provided(value: Any) -> Provide:
        return Provide(lambda: value, sync_to_thread=False, use_cache=True)

    application = Litestar(
        route_handlers=ROUTES,
        dependencies={
            "functions": provided(functions_service),
            "executions": provided(executions_service),
            "check_health": provided(check_health),
            "update_metrics": provided(update_metrics),
        },
        exception_handlers={Exception: errors.handle},
        request_max_body_size=input_limit + _ENVELOPE,
        openapi_config=None,
        logging_config=None,
    )
    return RequestIds(Execute(application, executions_service, input_limit + _ENVELOPE))
