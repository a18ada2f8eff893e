"""What is kept how long: the settings, and the default of a database that held executions before there was one."""

from datetime import datetime, timedelta

import msgspec

from faas.settings import Settings

DEFAULT_KEEP = timedelta(days=90)


class Policy(msgspec.Struct, frozen=True):
    """How long executions and archived messages, and payloads of executions, are kept; None is without limit."""

    executions: timedelta | None
    payloads: timedelta | None

    @property
    def clears_payloads(self) -> bool:
        """Whether payloads go before their rows."""
        return self.payloads is not None and (self.executions is None or self.payloads < self.executions)

    def horizon(self, now: datetime) -> datetime | None:
        """Return the time before which executions go; None when all are kept."""
        return None if self.executions is None else now - self.executions


def policy_of(settings: Settings, *, keeps_all: bool) -> Policy:
    """Return the policy of `settings`; `keeps_all` is the default of a database that held executions before it."""
    default = None if keeps_all else DEFAULT_KEEP
    executions = default if settings.keep_executions is None else _limit(settings.keep_executions)
    payloads = None if settings.keep_payloads is None else _limit(settings.keep_payloads)
    return Policy(executions, executions if payloads is None else payloads)


def _limit(seconds: float) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds else None
