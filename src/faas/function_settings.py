"""The settings of a function, which belong to its revisions: JSON objects, checked and in one canonical form."""

import re
from typing import Annotated, Literal

import msgspec

from faas.errors import InvalidRequest
from faas.outbound_patterns import parse_outbound
from faas.units import format_duration, format_size

_MAX_CONCURRENCY = 1_000_000
_MIN_PER_SECOND = 0.00001  # less than one a day
_MAX_PER_SECOND = 1_000_000
WASM_PAGE_BYTES = 64 << 10
VARIABLE_FORM = "A-Z a-z 0-9 and _, at most 64 of them, not beginning with a digit"
VARIABLE_PATTERN = "[A-Za-z_][A-Za-z0-9_]{0,63}"
MAX_VARIABLES, _MAX_SECRETS = 256, 50
_MAX_ENV_BYTES = 64 << 10


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


class FunctionHttp(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """How a function is reached as an HTTP endpoint: with a token that may invoke it, or by anyone."""

    auth: Literal["token", "none"] = "token"


PRIVATE = FunctionHttp()


class FunctionSettings(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """The settings of a revision. What is left out has its default.

    `env` are the environment variables of the function, `secrets` the names of secrets, which are variables too, and
    `outbound` the patterns of origins to which it may make requests (faas.outbound_patterns).
    """

    env: dict[str, str] = {}
    secrets: tuple[str, ...] = ()
    outbound: tuple[str, ...] = ()
    limits: FunctionLimits = NO_LIMITS
    http: FunctionHttp = PRIVATE


DEFAULT_SETTINGS = FunctionSettings()


def check_settings(settings: FunctionSettings, *, max_time: float, max_memory: int) -> None:
    """Raise InvalidRequest for a field that is not accepted.

    A limit may not be above that of the server: `max_time` seconds, `max_memory` bytes.
    """
    limits = settings.limits
    if limits.time is not None and limits.time > max_time:
        accepted = f"at most {max_time:g} ({format_duration(max_time)}), the time limit of this server"
        raise InvalidRequest("settings.limits.time", f"{limits.time:g} seconds is not accepted; {accepted}")
    if limits.memory is not None and limits.memory > max_memory:
        accepted = f"at most {max_memory} ({format_size(max_memory)}), the memory limit of this server"
        raise InvalidRequest("settings.limits.memory", f"{limits.memory} bytes is not accepted; {accepted}")
    _check_env(settings.env)
    _check_secrets(settings)
    try:
        parse_outbound(settings.outbound)
    except ValueError as error:
        raise InvalidRequest("settings.outbound", str(error)) from None


def encode_settings(settings: FunctionSettings) -> bytes:
    """Return the canonical form: equal settings have equal documents. They have passed `check_settings`."""
    canonical = FunctionSettings(
        env=dict(sorted(settings.env.items())),
        secrets=tuple(sorted(set(settings.secrets))),
        outbound=tuple(sorted(parse_outbound(settings.outbound).texts)),
        limits=NO_LIMITS if settings.limits == NO_LIMITS else settings.limits,  # given as an empty object
        http=PRIVATE if settings.http == PRIVATE else settings.http,
    )
    return msgspec.json.encode(canonical)


def decode_settings(document: bytes) -> FunctionSettings:
    """Decode what `encode_settings` made."""
    return msgspec.json.decode(document, type=FunctionSettings)


def decode_limits(document: bytes | None) -> FunctionLimits:
    """Decode the limits of a settings document; None where it has none."""
    return NO_LIMITS if document is None else msgspec.json.decode(document, type=FunctionLimits)


def is_variable_name(name: str) -> bool:
    """Return whether an environment variable, or a secret, may have this name."""
    return re.fullmatch(VARIABLE_PATTERN, name) is not None


def _check_env(env: dict[str, str]) -> None:
    """Raise InvalidRequest. Values are not shown: some people keep there what is a secret."""
    if len(env) > MAX_VARIABLES:
        raise InvalidRequest("settings.env", f"{len(env)} variables; at most {MAX_VARIABLES} are accepted")
    for name, value in env.items():
        if not is_variable_name(name):
            raise InvalidRequest("settings.env", f"the name {name[:100]!r} is not accepted; {VARIABLE_FORM}")
        if "\0" in value:
            raise InvalidRequest(f"settings.env.{name}", f"contains NUL at character {value.index(chr(0))}")
    size = sum(len(name) + len(value.encode()) for name, value in env.items())
    if size > _MAX_ENV_BYTES:
        raise InvalidRequest("settings.env", f"{size} bytes; at most {format_size(_MAX_ENV_BYTES)} are accepted")


def _check_secrets(settings: FunctionSettings) -> None:
    if len(settings.secrets) > _MAX_SECRETS:
        raise InvalidRequest("settings.secrets", f"{len(settings.secrets)} names; at most {_MAX_SECRETS} are accepted")
    for name in settings.secrets:
        if not is_variable_name(name):
            raise InvalidRequest("settings.secrets", f"the name {name[:100]!r} is not accepted; {VARIABLE_FORM}")
        if name in settings.env:
            raise InvalidRequest("settings.secrets", f"{name} is the name of a variable in settings.env, too")
