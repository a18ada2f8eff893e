"""Settings of the server and of the commands, as a frozen struct.

Each field is an option of `faas serve` (`--time-limit`), an environment variable (`FAAS_TIME_LIMIT`) and a row of the
table in docs/reference/settings.md; tests/architecture compares the three. An option overrides the variable, the
variable overrides the default. The compute module has settings of its own (`faas.compute_module`); no other module
reads the environment.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

import msgspec

from faas.client_address import NETWORK_FORMAT, parse_network
from faas.cores import available_cores
from faas.errors import ConfigurationError
from faas.languages import Language
from faas.units import DURATION_FORMAT, RETENTION_FORMAT, SIZE_FORMAT, parse_duration, parse_retention, parse_size
from faas.web_origin import HOST_FORMAT, ORIGIN_FORMAT, parse_host, parse_origin

PREFIX = "FAAS_"
DEFAULT_SERVER = "http://127.0.0.1:8080"
# wasmtime aborts the process when it cannot reserve the address space of its pools: one for modules, one for engines.
MAX_IN_FLIGHT_LIMIT = 10_000


def _described(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


Duration = Annotated[float, msgspec.Meta(gt=0, extra={"form": "duration"})]
# How long records are kept; 0 is without a limit. None is a setting that is not given: what it means depends on the
# database (faas.retention.policy), so the description of the default is a text.
Retention = Annotated[float, msgspec.Meta(ge=0)]
Size = Annotated[int, msgspec.Meta(gt=0, extra={"form": "size"})]
Count = Annotated[int, msgspec.Meta(ge=1)]
Workers = Annotated[int, msgspec.Meta(ge=1, le=64, extra={"form": "workers"})]
Hosts = Annotated[tuple[str, ...], msgspec.Meta(extra={"form": "hosts"})]
Origins = Annotated[tuple[str, ...], msgspec.Meta(extra={"form": "origins"})]
Networks = Annotated[tuple[str, ...], msgspec.Meta(extra={"form": "networks"})]
Languages = Annotated[tuple[Language, ...], msgspec.Meta(min_length=1, extra={"form": "languages"})]


def default_data_dir() -> Path:
    """Return the default data directory: `/var/lib/faas` for root, a folder in the XDG data directory for others.

    Raises ConfigurationError for a user without a home directory, for example a numeric one in a container.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/faas")
    try:
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    except RuntimeError:
        raise ConfigurationError("this user has no home directory; pass --data-dir") from None
    return Path(base) / "faas"


Role = Literal["all", "api", "compiler"]
Auth = Literal["auto", "required", "off"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. Durations are in seconds, sizes in bytes."""

    role: Annotated[
        Role, _described("components of this process: all, the API without compilers, or compilers only")
    ] = "all"
    host: Annotated[str, _described("address to listen on")] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535), _described("TCP port to listen on; 0 picks a free one")] = 8080
    workers: Annotated[
        Workers, _described("processes that serve, each with a runtime of its own; auto is one for each core")
    ] = 1
    auth: Annotated[
        Auth,
        _described("whether requests need tokens; auto asks for them once there is one, or beyond loopback"),
    ] = "auto"
    allowed_hosts: Annotated[
        Hosts, _described("hosts that clients may address the server by, beside those of the loopback interface")
    ] = ()
    cors_origins: Annotated[
        Origins, _described("origins whose web pages may call the server, beside the server's own")
    ] = ()
    trusted_proxies: Annotated[
        Networks, _described("addresses and networks of reverse proxies whose X-Forwarded-For names the client")
    ] = ()
    tls_cert: Annotated[
        Path | None, _described("file in PEM with the server's certificate and its issuers; serves HTTPS, with tls-key")
    ] = None
    tls_key: Annotated[
        Path | None, _described("file in PEM with the private key of tls-cert, without a passphrase")
    ] = None
    data_dir: Annotated[Path, _described("data directory of the embedded Postgres and the cache of native code")] = (
        msgspec.field(default_factory=default_data_dir)
    )
    secret_key_file: Annotated[
        Path | None,
        msgspec.Meta(extra={"default": "secret.key in the data directory"}),
        _described("file of the key that seals secrets; made when the first one is set"),
    ] = None
    database_url: Annotated[str | None, _described("URL of a Postgres 14+ to use instead of the embedded one")] = None
    database_pool: Annotated[
        Count, _described("maximum connections in the pool that requests and queue consumers share")
    ] = 16
    log_format: Annotated[
        Literal["auto", "console", "json"], _described("log format; auto is console on a terminal, otherwise json")
    ] = "auto"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _described("minimum log level")] = "info"
    poll_interval: Annotated[Duration, _described("polling interval of the queues, as a fallback to LISTEN/NOTIFY")] = (
        5.0
    )
    visibility_timeout: Annotated[
        Duration, _described("visibility timeout of queue messages, after which they are redelivered")
    ] = 15.0
    languages: Annotated[
        Languages, _described("languages that functions may be written in; compilers of others are not started")
    ] = get_args(Language)
    compile_workers: Annotated[
        Count, _described("maximum concurrent compilations, and worker processes of the compiler")
    ] = 2
    compile_timeout: Annotated[Duration, _described("time limit of one compilation")] = 60.0
    compile_memory: Annotated[Size, _described("memory limit of one compiler process")] = 2 << 30
    compile_output_limit: Annotated[Size, _described("maximum size of a compiled module")] = 8 << 20
    time_limit: Annotated[Duration, _described("time limit of one execution")] = 10.0
    memory_limit: Annotated[Size, msgspec.Meta(le=4 << 30), _described("maximum linear memory of one execution")] = (
        128 << 20
    )
    stack_limit: Annotated[Size, msgspec.Meta(le=2 << 20), _described("maximum call stack of one execution")] = 1 << 20
    input_limit: Annotated[Size, _described("maximum size of an execution's input")] = 6 << 20
    output_limit: Annotated[Size, _described("maximum size of an execution's output")] = 6 << 20
    log_limit: Annotated[Size, _described("maximum size of an execution's logs; the rest is truncated")] = 64 << 10
    max_in_flight: Annotated[
        Count,
        msgspec.Meta(le=MAX_IN_FLIGHT_LIMIT),
        _described("maximum concurrent executions of the server, all workers together; more get 429"),
    ] = 256
    module_cache: Annotated[Count, _described("maximum number of compiled modules kept in memory")] = 256
    keep_revisions: Annotated[Count, _described("revisions that are kept of each function")] = 20
    keep_executions: Annotated[
        Retention | None,
        msgspec.Meta(extra={"form": "retention", "default": "90d"}),
        _described("how long executions and archived queue messages are kept; 0 keeps all"),
    ] = None
    keep_payloads: Annotated[
        Retention | None,
        msgspec.Meta(extra={"form": "retention", "default": "as long as executions"}),
        _described("how long inputs, outputs and logs of executions are kept; 0 keeps them as long as executions"),
    ] = None
    shutdown_grace: Annotated[
        Duration, _described("graceful shutdown timeout: how long in-flight requests may take after SIGTERM")
    ] = 18.0

    @property
    def secret_key_path(self) -> Path:
        """The file of the key that seals secrets."""
        return self.secret_key_file or self.data_dir / "secret.key"


def program_environment() -> dict[str, str]:
    """Return the environment for programs of others: without the variables of faas, which may hold secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def server_url(option: str | None) -> str:
    """Return the URL of the server for the commands: the option, else FAAS_URL, else the local default."""
    return option or server_variable() or DEFAULT_SERVER


def server_variable() -> str | None:
    """Return FAAS_URL, None when it is not set or empty."""
    return os.environ.get("FAAS_URL") or None


def token_variable() -> str | None:
    """Return FAAS_TOKEN, the token of the commands; None when it is not set or empty."""
    return os.environ.get("FAAS_TOKEN") or None


def token_file() -> Path | None:
    """Return the file of the commands' token, `~/.config/faas/token`; None for a user without a home directory."""
    try:
        base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    except RuntimeError:
        return None
    return Path(base) / "faas" / "token"


def ca_file() -> str | None:
    """Return the file with the authorities that the commands trust for HTTPS, FAAS_CA_FILE; None: the system's."""
    return os.environ.get("FAAS_CA_FILE") or None


_ACCEPTED = {
    "duration": DURATION_FORMAT,
    "retention": RETENTION_FORMAT,
    "size": SIZE_FORMAT,
    "workers": "a whole number, or auto",
    "languages": f"a comma-separated list of {', '.join(get_args(Language))}",
    "hosts": f"a comma-separated list; each is {HOST_FORMAT}",
    "origins": f"a comma-separated list; each is {ORIGIN_FORMAT}",
    "networks": f"a comma-separated list; each is {NETWORK_FORMAT}",
}


SettingForm = Literal["duration", "retention", "size", "workers", "languages", "hosts", "origins", "networks"]

# The settings that are lists, with the function that checks an item and returns the form in which it is kept.
_PARSE_ITEM: dict[str, Callable[[str], str]] = {
    "languages": str,
    "hosts": parse_host,
    "origins": parse_origin,
    "networks": lambda text: str(parse_network(text)),
}


class Field(msgspec.Struct, frozen=True):
    """Description of one setting, for the command line and the documentation."""

    name: str
    description: str
    default: Any
    default_text: str | None
    form: SettingForm | None
    type: Any

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return PREFIX + self.name.upper()

    @property
    def option(self) -> str:
        """The name of the command-line option."""
        return "--" + self.name.replace("_", "-")

    @property
    def choices(self) -> tuple[str, ...]:
        """The accepted values of an enumeration; empty for other types."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    @property
    def is_list(self) -> bool:
        """Whether the value is a list, with commas between its items."""
        return self.form in _PARSE_ITEM

    @property
    def accepted(self) -> str:
        """The accepted format, for error messages."""
        if self.form:
            return _ACCEPTED[self.form]
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.is_path:
            return "a path"
        return "a whole number" if self.type is int else "text"

    @property
    def is_path(self) -> bool:
        """Whether the value is a path, which may be optional."""
        return self.type in (Path, Path | None)


def fields() -> list[Field]:
    """Return the description of every setting, in the order of docs/reference/settings.md."""
    hints = get_type_hints(Settings, include_extras=True)
    found = []
    for field in msgspec.structs.fields(Settings):
        base, *metas = get_args(hints[field.name])
        extra: dict[str, str] = next((meta.extra for meta in metas if meta.extra), {})
        found.append(
            Field(
                name=field.name,
                description=next(meta.description for meta in metas if meta.description),
                default=_default_of(field),
                default_text=extra.get("default"),
                form=cast("SettingForm | None", extra.get("form")),
                type=base,
            )
        )
    return found


def _default_of(field: msgspec.structs.FieldInfo) -> Any:
    """Return the default of a setting; None for the data directory of a user without a home directory."""
    if field.default is not msgspec.NODEFAULT:
        return field.default
    try:
        return field.default_factory()
    except ConfigurationError:
        return None


def _parse(field: Field, text: str) -> object:
    if field.form == "duration":
        return parse_duration(text)
    if field.form == "retention":
        return parse_retention(text)
    if field.form == "size":
        return parse_size(text)
    if field.form == "workers":
        return available_cores() if text == "auto" else text
    if field.is_list:
        parse_item = _PARSE_ITEM[field.form or ""]
        return list(dict.fromkeys(parse_item(item.strip()) for item in text.split(",")))
    if field.is_path and not text:
        raise ValueError("it is empty")
    return Path(text).expanduser() if field.is_path else text


def load(options: Mapping[str, str | None], environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings from `options` (by field name; None means not given), `environ` and the defaults.

    Raises ConfigurationError, which names the option or variable, its value and the accepted format, or the setting
    that another one needs. Unknown FAAS_… variables are ignored: other programs may use the prefix.
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
            # With a data directory, so that a user without a home directory can give every setting but that one.
            msgspec.convert({"data_dir": Path(), field.name: value}, Settings, strict=False)
        except (ValueError, msgspec.ValidationError) as error:
            detail = str(error).split(" - at ", maxsplit=1)[0].replace("Expected `int`, got `str`", "not a number")
            accepted = field.accepted if field.accepted in detail else f"{detail}; accepted is {field.accepted}"
            raise ConfigurationError(f"{origin}={text!r}: {accepted}") from None
    loaded = msgspec.convert(values, Settings, strict=False)
    _check_tls(loaded)
    if loaded.workers > 1 and loaded.role == "compiler":
        raise ConfigurationError(
            f"--workers={loaded.workers}: a process of the role compiler serves no functions; accepted is 1, and "
            "--compile-workers says how many compilations it makes at once"
        )
    return loaded


def _check_tls(loaded: Settings) -> None:
    given, missing = ("tls-cert", "tls-key") if loaded.tls_cert else ("tls-key", "tls-cert")
    if (loaded.tls_cert is None) != (loaded.tls_key is None):
        raise ConfigurationError(f"--{given} needs --{missing}: HTTPS takes a certificate and its private key")
