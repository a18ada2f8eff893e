"""Settings as frozen data, and the only place that reads the environment.

Every field is an option of `faas serve` (`--time-limit`), an environment variable (`FAAS_TIME_LIMIT`) and a row in the
README's table; a test holds the three together. An option beats the variable, the variable beats the default.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from faas.errors import ConfigurationError
from faas.languages import Language
from faas.units import DURATION_FORM, SIZE_FORM, parse_duration, parse_size

PREFIX = "FAAS_"
DEFAULT_SERVER = "http://127.0.0.1:8080"


def _doc(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


Duration = Annotated[float, msgspec.Meta(gt=0, extra={"form": "duration"})]
Size = Annotated[int, msgspec.Meta(gt=0, extra={"form": "size"})]
Count = Annotated[int, msgspec.Meta(ge=1)]
Languages = Annotated[tuple[Language, ...], msgspec.Meta(min_length=1, extra={"form": "languages"})]


def default_data_dir() -> Path:
    """Where state lives when nothing else is said: `/var/lib/faas` for root, the XDG data folder for others."""
    if os.geteuid() == 0:
        return Path("/var/lib/faas")
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "faas"


Role = Literal["all", "api", "compiler"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All that can be set. Durations are seconds, sizes are bytes."""

    role: Annotated[Role, _doc("what this process does: all of it, the API without compiling, or compiling alone")] = (
        "all"
    )
    host: Annotated[str, _doc("address to listen on")] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535), _doc("port to listen on; 0 takes a free one")] = 8080
    data_dir: Annotated[Path, _doc("where the embedded Postgres keeps its data")] = msgspec.field(
        default_factory=default_data_dir
    )
    database_url: Annotated[str | None, _doc("a Postgres 14+ to use instead of the embedded one")] = None
    database_pool: Annotated[Count, _doc("connections to the database at most")] = 16
    log_format: Annotated[
        Literal["auto", "console", "json"], _doc("log lines for people or programs; auto asks the terminal")
    ] = "auto"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _doc("log lines of this level and above")] = (
        "info"
    )
    poll_interval: Annotated[Duration, _doc("the queues are read this often even when nothing notifies")] = 5.0
    visibility_timeout: Annotated[Duration, _doc("a message whose reader died is read again after this")] = 15.0
    languages: Annotated[
        Languages, _doc("what functions may be written in; a compiler that is not listed does not run")
    ] = get_args(Language)
    compile_workers: Annotated[Count, _doc("compiler processes at most")] = 2
    compile_timeout: Annotated[Duration, _doc("one compilation may take this long")] = 60.0
    compile_memory: Annotated[Size, _doc("memory of one compiler process")] = 2 << 30
    compile_output_limit: Annotated[Size, _doc("size of a compiled module")] = 8 << 20
    time_limit: Annotated[Duration, _doc("one execution may take this long")] = 10.0
    memory_limit: Annotated[Size, msgspec.Meta(le=4 << 30), _doc("linear memory of one execution")] = 128 << 20
    stack_limit: Annotated[Size, msgspec.Meta(le=2 << 20), _doc("call stack of one execution")] = 1 << 20
    input_limit: Annotated[Size, _doc("size of an execution's input")] = 6 << 20
    output_limit: Annotated[Size, _doc("size of an execution's output")] = 6 << 20
    log_limit: Annotated[Size, _doc("what an execution may print; the rest is cut")] = 64 << 10
    max_in_flight: Annotated[Count, _doc("executions in flight in this process before the next gets 429")] = 256
    module_cache: Annotated[Count, _doc("compiled modules kept in memory")] = 256
    shutdown_grace: Annotated[Duration, _doc("requests in flight get this long to finish after SIGTERM")] = 18.0


def server_url(option: str | None) -> str:
    """The server that the commands talk to: the option, or FAAS_URL, or a local one."""
    return option or os.environ.get("FAAS_URL") or DEFAULT_SERVER


_ACCEPTED = {
    "duration": DURATION_FORM,
    "size": SIZE_FORM,
    "languages": f"some of {', '.join(get_args(Language))}, with commas between",
}


class Field(msgspec.Struct, frozen=True):
    """One setting as the command line and the docs show it."""

    name: str
    description: str
    default: Any
    form: Literal["duration", "size", "languages"] | None
    type: Any

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return PREFIX + self.name.upper()

    @property
    def option(self) -> str:
        """Its command-line option."""
        return "--" + self.name.replace("_", "-")

    @property
    def choices(self) -> tuple[str, ...]:
        """The only values that there are; empty when there are more."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    @property
    def accepted(self) -> str:
        """What a value must look like, for error messages."""
        if self.form:
            return _ACCEPTED[self.form]
        if self.choices:
            return "one of " + ", ".join(self.choices)
        return {int: "a whole number", Path: "a path"}.get(self.type, "text")


def fields() -> list[Field]:
    """Every setting, in the order of the table in the README."""
    hints = get_type_hints(Settings, include_extras=True)
    found = []
    for field in msgspec.structs.fields(Settings):
        base, *metas = get_args(hints[field.name])
        extras = [meta.extra for meta in metas if meta.extra]
        default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        found.append(
            Field(
                name=field.name,
                description=next(meta.description for meta in metas if meta.description),
                default=default,
                form=extras[0]["form"] if extras else None,
                type=base,
            )
        )
    return found


def _parse(field: Field, text: str) -> object:
    if field.form == "duration":
        return parse_duration(text)
    if field.form == "size":
        return parse_size(text)
    if field.form == "languages":
        return list(dict.fromkeys(name.strip() for name in text.split(",")))
    if field.type is Path and not text:
        raise ValueError("it is empty")
    return Path(text).expanduser() if field.type is Path else text


def load(options: Mapping[str, str | None], environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from `options` (by field name; None is left out), then the environment, then the defaults.

    Raises ConfigurationError that names the option or variable, its value and what is accepted. An unknown FAAS_…
    variable that is close to a setting's name is not refused: other tools may use the prefix.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, object] = {}
    for field in fields():
        origin, text = field.option, options.get(field.name)
        if text is None:
            origin, text = field.variable, environ.get(field.variable)
        if text is None or (text == "" and origin == field.variable):
            continue
        try:
            value = _parse(field, text)
            values[field.name] = value
            msgspec.convert({field.name: value}, Settings, strict=False)
        except (ValueError, msgspec.ValidationError) as error:
            detail = str(error).split(" - at ", maxsplit=1)[0].replace("Expected `int`, got `str`", "not a number")
            accepted = field.accepted if field.accepted in detail else f"{detail}; accepted is {field.accepted}"
            raise ConfigurationError(f"{origin}={text!r}: {accepted}") from None
    return msgspec.convert(values, Settings, strict=False)
