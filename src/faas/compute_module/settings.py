"""Settings of the compute module, and the only file of the package that reads the environment.

Each field of a struct below declares one setting: its default, its environment variable, its description and its type.
The command-line option (`--max-retries`) is the field's name. Options, `--help` and the tables of
docs/compute-module/reference.md come from these declarations; tests hold them together. An option overrides the
variable, and the variable overrides the default.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

import msgspec

from faas.compute_module.redaction import redact
from faas.compute_module.setting_types import (
    CREATED_FOLDER,
    DATASET_PATH,
    DURATION,
    EXISTING_FOLDER,
    FLAG,
    LIST,
    LISTEN_ADDRESS,
    PATH,
    RATE,
    TEXT,
    URL,
    ListenAddress,
    SettingType,
    one_of,
    whole_number,
)
from faas.errors import ConfigurationError

EnricherName = Literal["gemini", "function", "static"]
WriteMode = Literal["auto", "dataset", "stream"]


def _setting(
    description: str,
    type_: SettingType,
    *,
    variable: str | None = None,
    option: bool = True,
    parse_default: bool = False,
) -> msgspec.Meta:
    """Declare a setting; with `parse_default` the default passes through the parser, for its effect and its checks."""
    extra = {"type": type_, "variable": variable, "option": option, "parse_default": parse_default}
    return msgspec.Meta(description=description, extra=extra)


def _variable(name: str, description: str, type_: SettingType = TEXT) -> msgspec.Meta:
    """Declare a setting that has an environment variable and no option."""
    return _setting(description, type_, variable=name, option=False)


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of every run. `request_timeout` is in seconds; `rate_limit_rps` 0 is no limit."""

    enricher: Annotated[EnricherName, _setting("what enriches an address", one_of(*get_args(EnricherName)))] = "gemini"
    function: Annotated[str | None, _setting("the deployed function that the enricher `function` invokes", TEXT)] = None
    workers: Annotated[int, _setting("addresses enriched at the same time", whole_number(1), variable="WORKERS")] = 10
    max_retries: Annotated[
        int, _setting("retries of an address after its first attempt", whole_number(0), variable="MAX_RETRIES")
    ] = 3
    request_timeout: Annotated[
        float, _setting("time limit of one attempt: `300ms`, `2m`, `1m30s`", DURATION, variable="REQUEST_TIMEOUT")
    ] = 30.0
    rate_limit_rps: Annotated[
        float,
        _setting(
            "attempts per second of the whole run; 0 is no limit; the wait does not count towards the time limit",
            RATE,
            variable="RATE_LIMIT_RPS",
        ),
    ] = 0.0
    fail_fast: Annotated[bool, _setting("stop the run at the first error", FLAG, variable="FAIL_FAST")] = False
    gemini_model: Annotated[
        str | None, _setting("the Gemini model; the enricher `gemini` requires it", TEXT, variable="GEMINI_MODEL")
    ] = None
    gemini_base_url: Annotated[
        str | None, _setting("the Gemini API, instead of the SDK's own URL", URL, variable="GEMINI_BASE_URL")
    ] = None
    capture_audit: Annotated[
        bool, _setting("fill the columns `sources` and `web_search_queries`", FLAG, variable="GEMINI_CAPTURE_AUDIT")
    ] = False
    faas_url: Annotated[str, _setting("the faas server of the enricher `function`", URL, variable="FAAS_URL")] = (
        "http://127.0.0.1:8080"
    )


class FoundryRunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of `faas pipeline foundry` alone."""

    input_alias: Annotated[str, _setting("the alias of the input dataset", SettingType(str))] = "input"
    output_alias: Annotated[str, _setting("the alias of the output", SettingType(str))] = "output"
    output_filename: Annotated[str, _setting("the file in the output dataset", DATASET_PATH)] = "enriched.csv"
    output_write_mode: Annotated[
        WriteMode,
        _setting("what the output is; `auto` asks the stream-proxy", one_of(*get_args(WriteMode))),
    ] = "auto"


class FoundryVariables(msgspec.Struct, frozen=True, kw_only=True):
    """The variables that Foundry sets for a compute module, as they are: foundry/environment.py resolves them."""

    service_discovery: Annotated[
        str,
        _variable(
            "FOUNDRY_SERVICE_DISCOVERY_V2",
            "a YAML file with `api_gateway: [url]` and `stream_proxy: [url]`; overrides `FOUNDRY_URL`",
            PATH,
        ),
    ] = ""
    url: Annotated[
        str,
        _variable(
            "FOUNDRY_URL",
            "gives `{url}/api` and `{url}/stream-proxy/api`; `https://` is added when it has no scheme",
        ),
    ] = ""
    token: Annotated[str, _variable("BUILD2_TOKEN", "a file that contains the bearer token", PATH)] = ""
    alias_map: Annotated[
        str,
        _variable(
            "RESOURCE_ALIAS_MAP",
            'a JSON file `{"input": {"rid": "ri.…", "branch": null}, "output": {…}}`; without a branch it is `master`',
            PATH,
        ),
    ] = ""
    ca_path: Annotated[
        str, _variable("DEFAULT_CA_PATH", "a PEM file with the only certificates that are trusted", PATH)
    ] = ""
    get_job_uri: Annotated[
        str,
        _variable(
            "GET_JOB_URI",
            "where jobs are fetched; the keep-alive is on when both URIs are set",
        ),
    ] = ""
    post_result_uri: Annotated[str, _variable("POST_RESULT_URI", "where results of jobs are posted")] = ""
    module_auth_token: Annotated[
        str,
        _variable("MODULE_AUTH_TOKEN", "the token of the keep-alive, or a file that contains it"),
    ] = ""


class GeminiVariables(msgspec.Struct, frozen=True, kw_only=True):
    """The variables that lead to the Gemini API key."""

    api_key: Annotated[str, _variable("GEMINI_API_KEY", "the API key, or a file that contains it")] = ""
    source_credentials: Annotated[
        str,
        _variable(
            "SOURCE_CREDENTIALS",
            'a JSON file `{"SourceApiName": {"secretName": "value"}}`, when `GEMINI_API_KEY` is not set',
            PATH,
        ),
    ] = ""
    source_api_name: Annotated[
        str, _variable("GEMINI_SOURCE_API_NAME", "the source in `SOURCE_CREDENTIALS` that has the key")
    ] = ""
    source_secret_name: Annotated[
        str, _variable("GEMINI_SOURCE_SECRET_NAME", "the secret of that source that is the key")
    ] = ""


class FaasVariables(msgspec.Struct, frozen=True, kw_only=True):
    """The variable that leads to the token for the faas server."""

    token: Annotated[
        str,
        _variable(
            "FAAS_TOKEN", "a token with the scope `invoke`, or a file that contains it; it goes to `FAAS_URL` alone"
        ),
    ] = ""


class MockFoundrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of `faas mock-foundry`."""

    addr: Annotated[
        ListenAddress,
        _setting("the address to listen on; port 0 is any free port", LISTEN_ADDRESS, variable="MOCK_FOUNDRY_ADDR"),
    ] = ListenAddress("127.0.0.1", 8081)
    input_dir: Annotated[
        Path,
        _setting("initial tables of datasets, as `<rid>.csv`", EXISTING_FOLDER, variable="MOCK_FOUNDRY_INPUT_DIR"),
    ] = Path("inputs")
    upload_dir: Annotated[
        Path,
        _setting(
            "uploaded and committed files",
            CREATED_FOLDER,
            variable="MOCK_FOUNDRY_UPLOAD_DIR",
            parse_default=True,
        ),
    ] = Path("uploads")
    stream_rids: Annotated[
        tuple[str, ...],
        _setting("the RIDs that are streams, separated by commas", LIST, variable="MOCK_FOUNDRY_STREAM_RIDS"),
    ] = ()
    token: Annotated[
        str | None,
        _setting(
            "the bearer token that calls under `/api` and `/stream-proxy` require",
            TEXT,
            variable="MOCK_FOUNDRY_TOKEN",
        ),
    ] = None


SettingsT = TypeVar("SettingsT", bound=msgspec.Struct)


class Setting(msgspec.Struct, frozen=True):
    """The declaration of one setting, for the command line, the documentation and `load_settings`."""

    name: str
    description: str
    default: Any
    type: SettingType
    variable: str | None
    has_option: bool
    parse_default: bool

    @property
    def option(self) -> str:
        """The command-line option."""
        return "--" + self.name.replace("_", "-")

    @property
    def shown_default(self) -> str:
        """The default as a user writes it, "" when there is none."""
        return "" if self.default in {None, "", ()} else self.type.show(self.default)


def settings_of(kind: type[msgspec.Struct]) -> list[Setting]:
    """Return the settings that a struct declares, in their order."""
    hints = get_type_hints(kind, include_extras=True)
    declared = []
    for field in msgspec.structs.fields(kind):
        meta = next(meta for meta in get_args(hints[field.name])[1:] if isinstance(meta, msgspec.Meta))
        extra = meta.extra or {}
        declared.append(
            Setting(
                name=field.name,
                description=meta.description or "",
                default=field.default,
                type=extra["type"],
                variable=extra["variable"],
                has_option=extra["option"],
                parse_default=extra["parse_default"],
            )
        )
    return declared


def load_settings(
    kind: type[SettingsT], options: Mapping[str, str | None] | None = None, environ: Mapping[str, str] | None = None
) -> SettingsT:
    """Return the settings from `options` (by name; None is not given), `environ` and the defaults.

    A blank variable counts as not set. Raises ConfigurationError with the option or variable, its value and what is
    accepted.
    """
    options = {} if options is None else options
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for setting in settings_of(kind):
        origin, text = setting.option, options.get(setting.name)
        if text is None and setting.variable:
            origin, text = setting.variable, environ.get(setting.variable, "").strip() or None
        if text is None and setting.parse_default:
            text = setting.shown_default
        if text is None:
            continue
        try:
            values[setting.name] = setting.type.parse(text)
        except ValueError as error:
            raise ConfigurationError(f"{origin}={redact(text)!r}: {error}") from None
    return kind(**values)
