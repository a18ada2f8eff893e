"""The log lines of the commands that hold tokens."""

import sys

import structlog

from faas.compute_module.pipeline.redaction import redact_event


class _StandardError:
    """Writes log lines to whatever is standard error at the time: a progress bar moves it while it is drawn."""

    def msg(self, message: str) -> None:
        sys.stderr.write(message + "\n")  # click's echo keeps to the stream that it first saw

    debug = info = warning = error = critical = exception = msg


def configure_redacted_logs() -> None:
    """Log lines on standard error, without secrets: a traceback shows no local variables, such as headers."""
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if terminal else "iso", utc=not terminal),
            structlog.processors.format_exc_info,
            redact_event,
            structlog.dev.ConsoleRenderer(pad_event_to=0) if terminal else structlog.processors.JSONRenderer(),
        ],
        logger_factory=lambda *_: _StandardError(),
        cache_logger_on_first_use=False,
    )
