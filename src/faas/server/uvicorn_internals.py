"""uvicorn's private API, as far as this package builds on it, and a check that the installed version still has it.

No other module imports it. pyproject.toml keeps uvicorn below the next minor version, since any minor version may
change these names. The reason to use them is measured: docs/decisions/0026-fast-path.md.
"""

import dis
import inspect
from collections.abc import Callable
from importlib import metadata
from typing import Any

import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from faas.errors import ConfigurationError

__all__ = ["STATUS_LINE", "FlowControl", "HttpToolsProtocol", "RequestResponseCycle", "check_layout"]

# The methods that this package overrides or calls, with their parameters.
_PARAMETERS: dict[Callable[..., Any], tuple[str, ...]] = {
    FlowControl.drain: ("self",),
    FlowControl.pause_reading: ("self",),
    FlowControl.resume_reading: ("self",),
    HttpToolsProtocol._unset_keepalive_if_required: ("self",),
    HttpToolsProtocol.connection_lost: ("self", "exc"),
    HttpToolsProtocol.connection_made: ("self", "transport"),
    HttpToolsProtocol.data_received: ("self", "data"),
    HttpToolsProtocol.eof_received: ("self",),
    HttpToolsProtocol.on_body: ("self", "body"),
    HttpToolsProtocol.on_headers_complete: ("self",),
    HttpToolsProtocol.on_message_begin: ("self",),
    HttpToolsProtocol.on_message_complete: ("self",),
    HttpToolsProtocol.on_response_complete: ("self",),
    HttpToolsProtocol.shutdown: ("self",),
    HttpToolsProtocol.timeout_keep_alive_handler: ("self",),
    uvicorn.Server.capture_signals: ("self",),
    uvicorn.Server.shutdown: ("self", "sockets"),
    uvicorn.Server.startup: ("self", "sockets"),
}

# The attributes that this package reads or sets, with the method in which uvicorn first assigns them.
_ATTRIBUTES: dict[Callable[..., Any], frozenset[str]] = {
    FlowControl.__init__: frozenset({"read_paused", "write_paused"}),
    HttpToolsProtocol.__init__: frozenset({
        "cycle", "expect_100_continue", "flow", "headers", "loop", "parser", "pipeline", "scope", "server_state",
        "tasks", "timeout_keep_alive", "timeout_keep_alive_task", "transport",
    }),
    HttpToolsProtocol.on_message_begin: frozenset({"url"}),
    # FastPathProtocol puts an object of its own in the place of a cycle, with these attributes.
    RequestResponseCycle.__init__: frozenset({
        "body", "disconnected", "keep_alive", "message_event", "more_body", "response_complete", "response_started",
    }),
    uvicorn.Config.load: frozenset({"http_protocol_class", "ssl"}),
    uvicorn.Server.__init__: frozenset({"config", "force_exit", "server_state", "should_exit"}),
    uvicorn.Server._serve: frozenset({"lifespan"}),
    uvicorn.Server.startup: frozenset({"servers", "started"}),
}  # fmt: skip


def check_layout() -> None:
    """Raise ConfigurationError if the installed uvicorn lacks anything of the above or has it with other parameters."""
    for method, expected in _PARAMETERS.items():
        found = tuple(inspect.signature(method).parameters)
        if found != expected:
            _refuse(f"{method.__qualname__} has the parameters {found}, expected {expected}")
    for method, attributes in _ATTRIBUTES.items():
        if missing := attributes - _assigned_attributes(method):
            _refuse(f"{method.__qualname__} does not assign {', '.join(sorted(missing))}")
    if STATUS_LINE.get(200) != b"HTTP/1.1 200 OK\r\n":
        _refuse(f"STATUS_LINE[200] is {STATUS_LINE.get(200)!r}")


def _assigned_attributes(method: Callable[..., Any]) -> set[str]:
    return {str(step.argval) for step in dis.get_instructions(method) if step.opname == "STORE_ATTR"}


def _refuse(difference: str) -> None:
    version = metadata.version("uvicorn")
    raise ConfigurationError(
        f"uvicorn {version} is not supported: {difference}; install the version of requirements/run.lock"
    )
