"""The result of one guest."""

import msgspec


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Either `output`, a JSON document exactly as the guest wrote it, or `error`, a message for the function's author.

    `logs` is what the guest printed. All three are ready to be recorded: their text has no NUL characters.
    `inline` says that the guest ran on the event loop.
    """

    output: bytes | None = None
    error: str | None = None
    logs: str | None = None
    inline: bool = False


class GuestFault(Exception):
    """Raised when a guest violates its calling convention. The message is for the function's author."""
