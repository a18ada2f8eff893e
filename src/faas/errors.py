"""Errors of faas. A failure of a user's function is a result (`status: FAILED`), never one of these.

FaasError
├── ConfigurationError        a setting, a file it names, or the machine does not allow it; exit code 2
│   └── DataDirectoryInUse    another process holds the lock of the data directory
├── InvalidRequest            a field of a request has a value that is not accepted
│   └── PayloadTooLarge       a field of a request exceeds its size limit
├── NotFound                  what a request names does not exist
│   ├── FunctionNotFound
│   ├── RevisionNotFound
│   ├── ExecutionNotFound
│   ├── TokenNotFound
│   └── SecretNotFound
├── NameTaken                 another function has this name
├── TokenNameTaken            another token has, or had, this name
├── SecretInUse               a kept revision names the secret that is to be deleted
├── SecretKeyUnavailable      the key that seals secrets cannot be used, or is not that of the secrets there are
├── SecretUnavailable         a function cannot have a secret that it names
├── NotAuthenticated          the request has no token that is admitted
├── NotAllowed                the token of the request does not allow this
├── TooManyAttempts           the client has failed to authenticate too often
├── RateLimited               the token is used more often than it may be
├── FunctionNotReady          the function has no module to execute (yet)
├── RevisionConflict          the revisions of the function do not allow what was asked for
├── Saturated                 this process executes as many functions as it may
├── FunctionLimitReached      the function runs as often as its settings allow
├── DatabaseUnavailable       the work could not be done or recorded, and was not acknowledged
│   └── DatabaseNotReached    there was no connection: nothing was sent
├── BackupFailed              a backup or a restore ended without its result; exit code 1
└── ServerError               a command could not use the server (faas.cli.client); exit code 1
"""


class FaasError(Exception):
    """Base class of all errors that faas raises for its callers."""


class ConfigurationError(FaasError):
    """Raised when a setting, a file that it names, or the machine does not allow an operation."""


class DataDirectoryInUse(ConfigurationError):
    """Raised when another process holds the lock of the data directory."""


class InvalidRequest(FaasError):
    """Raised when `field` of a request has a value that is not accepted; `reason` says what is accepted."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class PayloadTooLarge(InvalidRequest):
    """Raised when `field` of a request is larger than `limit` bytes."""

    def __init__(self, field: str, limit: int, reason: str) -> None:
        super().__init__(field, reason)
        self.limit = limit


class NotFound(FaasError):
    """Base class of the errors for requests that name what does not exist."""


class FunctionNotFound(NotFound):
    """Raised when no function has this id or name."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"no function has the id or name {reference!r}")
        self.reference = reference


class RevisionNotFound(NotFound):
    """Raised when a function has no revision with this number, or no longer has it."""

    def __init__(self, name: str, revision: int) -> None:
        super().__init__(f"function {name!r} has no revision {revision}, or no longer keeps it")
        self.revision = revision


class ExecutionNotFound(NotFound):
    """Raised when no execution has this id."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(f"no execution has the id {execution_id!r}")
        self.execution_id = execution_id


class NameTaken(FaasError):
    """Raised when another function has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"name: a function named {name!r} exists already; names are unique")
        self.name = name


class TokenNotFound(NotFound):
    """Raised when no token has this id."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"no token is called {reference[:100]!r}")


class TokenNameTaken(FaasError):
    """Raised when another token has this name, or had it before it was revoked."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"name: there is, or was, a token named {name!r}; names are not used again, so that the history is clear"
        )


class SecretNotFound(NotFound):
    """Raised when no secret has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no secret is called {name[:100]!r}")


class SecretInUse(FaasError):
    """Raised when a secret is to be deleted that a kept revision names; the message says which one."""

    def __init__(self, name: str, function: str, revision: int, uses: int) -> None:
        others = f", and {uses - 1} more do" if uses > 1 else ""
        super().__init__(
            f"revision {revision} of the function {function!r} names the secret {name!r}{others}; a secret can be "
            "deleted when no kept revision names it, and its value replaced at any time"
        )


class SecretKeyUnavailable(FaasError):
    """Raised when the key of this server cannot seal a secret. The message is for operators."""


class SecretUnavailable(FaasError):
    """Raised when a function cannot have a secret that its revision names. The message is for its author."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the secret {name!r} is not available: {reason}")
        self.name = name


class NotAuthenticated(FaasError):
    """Raised when a request has no token that is admitted. The message does not say why it is not admitted."""

    def __init__(self) -> None:
        super().__init__(
            "this needs a token: `Authorization: Bearer faas_…`, one that is known, not revoked and not expired"
        )


class NotAllowed(FaasError):
    """Raised when the token of a request does not allow it; `missing_scope` is set when a scope is missing."""

    def __init__(self, reason: str, missing_scope: str | None = None) -> None:
        super().__init__(reason)
        self.missing_scope = missing_scope


class TooManyAttempts(FaasError):
    """Raised when a client has failed to authenticate too often. It may try again after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many failed authentications from this address; try again in {retry_after} s")
        self.retry_after = retry_after


class RateLimited(FaasError):
    """Raised when a token is used more often than `per_second`. Clients may retry after `retry_after` seconds.

    `headers` tell the state of the rate.
    """

    def __init__(self, per_second: float, retry_after: int, headers: dict[str, str]) -> None:
        super().__init__(f"this token may make {per_second:g} requests per second; try again in {retry_after} s")
        self.retry_after = retry_after
        self.headers = headers


class FunctionNotReady(FaasError):
    """Raised when a function is to be executed and is not READY; `compile_error` is set when it is FAILED."""

    def __init__(self, name: str, status: str, compile_error: str | None) -> None:
        why = f"; its compile error:\n{compile_error}" if compile_error else ""
        super().__init__(f"function {name!r} is {status}, not READY, and cannot be executed{why}")
        self.status = status
        self.compile_error = compile_error


class RevisionConflict(FaasError):
    """Raised when a revision cannot be promoted because it is not READY, or there is none to roll back to."""


class Saturated(FaasError):
    """Raised when this process has `limit` executions in flight. Clients may retry after `retry_after` seconds."""

    def __init__(self, limit: int, retry_after: int) -> None:
        super().__init__(f"{limit} executions are in flight in this process, which is its limit; try again shortly")
        self.limit = limit
        self.retry_after = retry_after


class FunctionLimitReached(FaasError):
    """Raised when a limit in the settings of a function is reached. Clients may retry after `retry_after` seconds."""

    def __init__(self, function: str, reason: str, retry_after: int) -> None:
        super().__init__(f"function {function!r} {reason}; try again in {retry_after} s")
        self.retry_after = retry_after


class DatabaseUnavailable(FaasError):
    """Raised when the database fails or does not answer in time. The message is for the log, not for clients."""


class DatabaseNotReached(DatabaseUnavailable):
    """Raised when there is no connection to the database: no statement was sent, so none can have been executed."""


class BackupFailed(FaasError):
    """Raised when a backup or a restore fails. The message is one line; no partial result is left behind."""
