"""What became of one call."""

import msgspec


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Either `output`, a JSON document as the guest wrote it, or `error`, which tells the author what to do.

    `logs` is what the guest printed. The three are as they should be recorded: text without NUL.
    """

    output: bytes | None = None
    error: str | None = None
    logs: str | None = None


class GuestFault(Exception):
    """The guest broke its calling convention; the message says how."""
