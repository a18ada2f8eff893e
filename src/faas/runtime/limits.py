"""The limits of one guest."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one execution may use: `time` in seconds, everything else in bytes."""

    time: float
    memory: int
    stack: int
    input: int
    output: int
    logs: int
