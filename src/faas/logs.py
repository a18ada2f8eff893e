"""Configuration of the logs: events with fields, as coloured lines on a terminal and as JSON otherwise."""

import logging
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

import msgspec
import structlog

# Local variables are left out of tracebacks: they contain sources, inputs and connection strings.
_tracebacks = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def configure(log_format: Literal["auto", "console", "json"], level: str) -> None:
    """Configure structlog for this process, and send records of the standard library's logging the same way."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console),
    ]
    renderer: list[structlog.typing.Processor] = (
        [
            _text_ids,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
        if console
        else [_tracebacks, _camel_case_names, structlog.processors.JSONRenderer(_encode_text)]
    )
    # structlog writes the encoder's bytes without decoding them; the handler of the standard library needs text.
    structlog_renderer = renderer if console else [*renderer[:-1], structlog.processors.JSONRenderer(_encode)]
    structlog.configure(
        processors=[*shared, *structlog_renderer],
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


def _text_ids(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Replace UUIDs by their text. The JSON encoder does this itself."""
    return {name: str(value) if isinstance(value, UUID) else value for name, value in event.items()}


def _camel_case_names(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Rename `function_id` to `functionId`: fields have the same names as in the API's JSON."""
    return {_camel_case(name): value for name, value in event.items()}


@lru_cache
def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _encode(event: object, default: Callable[[Any], Any]) -> bytes:
    return msgspec.json.encode(event, enc_hook=default)


def _encode_text(event: object, default: Callable[[Any], Any]) -> str:
    return _encode(event, default).decode()
