"""Logs are events with fields: coloured lines on a terminal, JSON otherwise."""

import logging
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

import msgspec
import structlog

# Without the frames' local variables: those hold sources, inputs and connection strings.
_tracebacks = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def configure(log_format: Literal["auto", "console", "json"], level: str) -> None:
    """Set structlog up for this process, and send what libraries log through the standard library the same way."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console),
    ]
    renderer: list[structlog.typing.Processor] = (
        [
            _plain_ids,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
        if console
        else [_tracebacks, _camel_ids, structlog.processors.JSONRenderer(_json_text)]
    )
    # Ours are written as the bytes that the encoder makes; the standard library's handler wants text.
    ours = renderer if console else [*renderer[:-1], structlog.processors.JSONRenderer(_json)]
    structlog.configure(
        processors=[*shared, *ours],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr)
        if console
        else structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer]
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _plain_ids(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """UUIDs as they are written, not as Python shows them. JSON's encoder knows them."""
    return {name: str(value) if isinstance(value, UUID) else value for name, value in event.items()}


def _camel_ids(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """`function_id` becomes `functionId`, as in the API's JSON, so that a log line is found by the same name."""
    return {_camel(name): value for name, value in event.items()}


@lru_cache
def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _json(event: object, default: Callable[[Any], Any]) -> bytes:
    return msgspec.json.encode(event, enc_hook=default)


def _json_text(event: object, default: Callable[[Any], Any]) -> str:
    return _json(event, default).decode()
