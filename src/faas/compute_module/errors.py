"""Errors of the compute module. A message of RunFailed or EnrichmentFailed contains no secret.

FaasError
├── ConfigurationError             a setting, a file it names, or an alias is wrong; exit code 2 (faas.errors)
├── RunFailed                      a run ended before its result was complete; exit code 1
│   ├── InvalidTable               a table or the records of a stream cannot be parsed
│   ├── FailedFast                 an address failed and --fail-fast is set
│   ├── FoundryRequestFailed       a request to Foundry failed and is not retried any more
│   └── RunStopped                 SIGINT or SIGTERM ended the run
└── EnrichmentFailed               one address was not enriched: a row with status=error, not the end of the run
"""

from typing import Literal

from faas.errors import FaasError


class RunFailed(FaasError):
    """Raised when a run ends before its result is complete. The message is one line and contains no secret."""


class InvalidTable(RunFailed):
    """Raised when a table or the records of a stream cannot be parsed; the message says which one and where."""


class FailedFast(RunFailed):
    """Raised for the first address that fails, for `reason`, when `--fail-fast` is set."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"stopped at the first error, as --fail-fast asks: {reason}")
        self.reason = reason


class FoundryRequestFailed(RunFailed):
    """Raised when a request to Foundry fails and is not retried any more.

    `status` is None when there was no response, `error_name` when the response has none.
    """

    def __init__(self, operation: str, detail: str, status: int | None = None, error_name: str | None = None) -> None:
        super().__init__(f"Foundry: {operation}: {detail}")
        self.operation = operation
        self.status = status
        self.error_name = error_name


class RunStopped(RunFailed):
    """Raised when the signal `signal_name` ends a run before its result is complete."""

    def __init__(self, signal_name: str) -> None:
        super().__init__(f"stopped by {signal_name}")
        self.signal_name = signal_name


class EnrichmentFailed(FaasError):
    """Raised when one attempt to enrich an address fails.

    `retry` is how often the same address may be retried after this error: `never`, `once`, or `always` (up to the
    run's limit). `retry_after` is the number of seconds that the server asked to wait before the next request for any
    address, infinite when no request of this run can succeed, or None.
    """

    def __init__(
        self,
        reason: str,
        retry: Literal["never", "once", "always"] = "never",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry = retry
        self.retry_after = retry_after
