"""Every error the rooms raise on purpose. What a user's code does wrong is a result, never one of these.

FaasError
├── ConfigurationError        a setting, a file it names, or the machine does not allow what was asked; exit code 2
├── InvalidRequest            a field of a request is not what is accepted
│   └── PayloadTooLarge       … because it is larger than its limit
├── NotFound
│   ├── FunctionNotFound
│   └── ExecutionNotFound
├── NameTaken                 another function has this name
├── FunctionNotReady          the function has no binary to run (yet)
├── Saturated                 this process runs as many executions as it may
└── DatabaseUnavailable       the work could not be done or recorded; nothing was answered as done
"""


class FaasError(Exception):
    """The root: `except FaasError` catches whatever this program raises on purpose."""


class ConfigurationError(FaasError):
    """A setting, a file that it names, or the machine does not allow what was asked."""


class InvalidRequest(FaasError):
    """The request's `field` is not what is accepted; `reason` says what is."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class PayloadTooLarge(InvalidRequest):
    """`field` is larger than `limit` bytes."""

    def __init__(self, field: str, limit: int, reason: str) -> None:
        super().__init__(field, reason)
        self.limit = limit


class NotFound(FaasError):
    """What the client names does not exist."""


class FunctionNotFound(NotFound):
    """No function has this id or name."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"no function has the id or name {reference!r}")
        self.reference = reference


class ExecutionNotFound(NotFound):
    """No execution has this id."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(f"no execution has the id {execution_id!r}")
        self.execution_id = execution_id


class NameTaken(FaasError):
    """Another function has this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"name: a function named {name!r} exists already; names are unique")
        self.name = name


class FunctionNotReady(FaasError):
    """The function cannot be executed in its present `status`; `compile_error` says why when that is FAILED."""

    def __init__(self, name: str, status: str, compile_error: str | None) -> None:
        why = f"; its compile error:\n{compile_error}" if compile_error else ""
        super().__init__(f"function {name!r} is {status}, not READY, and cannot be executed{why}")
        self.status = status
        self.compile_error = compile_error


class Saturated(FaasError):
    """This process has `limit` executions in flight; the client may try again in `retry_after` seconds."""

    def __init__(self, limit: int, retry_after: int) -> None:
        super().__init__(f"{limit} executions are in flight in this process, which is its limit; try again shortly")
        self.limit = limit
        self.retry_after = retry_after


class DatabaseUnavailable(FaasError):
    """The database did not answer in time, so the work could not be done or recorded."""
