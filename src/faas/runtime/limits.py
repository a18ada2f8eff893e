"""What one call may use."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one call: `time` in seconds, the others in bytes."""

    time: float
    memory: int
    stack: int
    input: int
    output: int
    logs: int
