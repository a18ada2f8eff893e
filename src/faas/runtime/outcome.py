"""The result of one guest."""

import msgspec


class Outcome(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Either `output`, a JSON document exactly as the guest wrote it, or `error`, a message for the function's author.

    `logs` is what the guest printed. All three are ready to be recorded: their text has no NUL characters.
    `inline` says that the guest ran on the event loop.
    """

    output: bytes | None = None
    error: str | None = None
    logs: str | None = None
    inline: bool = False

    def __eq__(self, other: object) -> bool:
        """Compare what the guest did, not where it ran."""
        if not isinstance(other, Outcome):
            return NotImplemented
        return (self.output, self.error, self.logs) == (other.output, other.error, other.logs)

    def __hash__(self) -> int:
        return hash((self.output, self.error, self.logs))


class GuestFault(Exception):
    """Raised when a guest violates its calling convention. The message is for the function's author."""
