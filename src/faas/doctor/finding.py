"""The result of one check."""

from typing import Literal

import msgspec

Status = Literal["OK", "WARN", "FAIL"]


class Finding(msgspec.Struct, frozen=True):
    """What `check` found, with the value, and for WARN and FAIL the `action` that an operator takes.

    WARN: faas works, slower or with less protection. FAIL: faas does not start, or does not do its work.
    """

    check: str
    status: Status
    finding: str
    action: str = ""


def ok(check: str, finding: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(check, "OK", finding)


def warn(check: str, finding: str, action: str) -> Finding:
    """Return a finding with which faas works, slower or with less protection."""
    return Finding(check, "WARN", finding, action)


def fail(check: str, finding: str, action: str) -> Finding:
    """Return a finding with which faas does not do its work."""
    return Finding(check, "FAIL", finding, action)
