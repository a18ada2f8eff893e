"""The limits of one guest."""

from functools import lru_cache

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one execution may use: `time` in seconds, everything else in bytes."""

    time: float
    memory: int
    stack: int
    input: int
    output: int
    logs: int

    def narrowed(self, time: float | None, memory: int | None) -> "Limits":
        """Return these limits with at most `time` seconds and `memory` bytes, where given."""
        return self if time is None and memory is None else _narrowed(self, time, memory)


@lru_cache(maxsize=1024)
def _narrowed(limits: Limits, time: float | None, memory: int | None) -> Limits:
    return msgspec.structs.replace(
        limits,
        time=limits.time if time is None else min(limits.time, time),
        memory=limits.memory if memory is None else min(limits.memory, memory),
    )
