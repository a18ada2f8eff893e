"""Logging of the compute module's commands: events on standard error, redacted."""

import sys

import structlog

from faas.compute_module.redaction import redact_event


class _StandardErrorLogger:
    """Writes log lines to the current `sys.stderr`, which rich replaces while a progress bar is shown.

    structlog's own loggers and click's `echo` keep the stream that they first used.
    """

    def msg(self, message: str) -> None:
        sys.stderr.write(message + "\n")

    debug = info = warning = error = critical = exception = msg


def configure_redacted_logs() -> None:
    """Configure structlog for a command that holds tokens.

    Every text of an event is redacted. Tracebacks show no local variables, which may contain request headers.
    """
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if terminal else "iso", utc=not terminal),
            structlog.processors.format_exc_info,
            redact_event,
            structlog.dev.ConsoleRenderer(pad_event_to=0) if terminal else structlog.processors.JSONRenderer(),
        ],
        logger_factory=lambda *_: _StandardErrorLogger(),
        cache_logger_on_first_use=False,
    )
