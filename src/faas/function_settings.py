"""The settings of a function, which belong to its revisions: JSON objects, checked and in one canonical form."""

from typing import Annotated

import msgspec

from faas.errors import InvalidRequest
from faas.units import format_duration, format_size

_MAX_CONCURRENCY = 1_000_000
_MIN_PER_SECOND = 0.00001  # less than one a day
_MAX_PER_SECOND = 1_000_000
WASM_PAGE_BYTES = 64 << 10


class FunctionLimits(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """What narrows the limits of the server for one function; None leaves those of the server.

    `time` is in seconds and `memory` in bytes. `concurrency` is the number of executions at once, `per_second` the rate
    of their starts.
    """

    time: Annotated[float, msgspec.Meta(gt=0)] | None = None
    memory: Annotated[int, msgspec.Meta(ge=WASM_PAGE_BYTES)] | None = None
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=_MAX_CONCURRENCY)] | None = None
    per_second: Annotated[float, msgspec.Meta(ge=_MIN_PER_SECOND, le=_MAX_PER_SECOND)] | None = None


NO_LIMITS = FunctionLimits()


class FunctionSettings(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """The settings of a revision. What is left out has its default."""

    limits: FunctionLimits = NO_LIMITS


DEFAULT_SETTINGS = FunctionSettings()


def check_settings(settings: FunctionSettings, *, max_time: float, max_memory: int) -> None:
    """Raise InvalidRequest for a limit above that of the server: `max_time` seconds, `max_memory` bytes."""
    limits = settings.limits
    if limits.time is not None and limits.time > max_time:
        accepted = f"at most {max_time:g} ({format_duration(max_time)}), the time limit of this server"
        raise InvalidRequest("settings.limits.time", f"{limits.time:g} seconds is not accepted; {accepted}")
    if limits.memory is not None and limits.memory > max_memory:
        accepted = f"at most {max_memory} ({format_size(max_memory)}), the memory limit of this server"
        raise InvalidRequest("settings.limits.memory", f"{limits.memory} bytes is not accepted; {accepted}")


def encode_settings(settings: FunctionSettings) -> bytes:
    """Return the canonical form: equal settings have equal documents."""
    if settings.limits == NO_LIMITS:  # given as an empty object
        settings = msgspec.structs.replace(settings, limits=NO_LIMITS)
    return msgspec.json.encode(settings)


def decode_settings(document: bytes) -> FunctionSettings:
    """Decode what `encode_settings` made."""
    return msgspec.json.decode(document, type=FunctionSettings)


def decode_limits(document: bytes | None) -> FunctionLimits:
    """Decode the limits of a settings document; None where it has none."""
    return NO_LIMITS if document is None else msgspec.json.decode(document, type=FunctionLimits)
