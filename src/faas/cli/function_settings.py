"""Settings of a function on the command line: options that change them, and how commands show them.

What an option does not name stays as it is in the newest revision.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import dotenv
import msgspec

from faas.cli.limits import LimitChanges, change_limits, describe_limits, limit_option
from faas.cli.sources import read_text_file
from faas.errors import ConfigurationError
from faas.function_settings import VARIABLE_FORM, is_variable_name

_Command = TypeVar("_Command", bound=Callable[..., Any])


class SettingChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What the options of a command change. `public` is None where no option says it."""

    env: Mapping[str, str] = {}
    without_env: Sequence[str] = ()
    secrets: Sequence[str] = ()
    without_secrets: Sequence[str] = ()
    outbound: Sequence[str] = ()
    without_outbound: Sequence[str] = ()
    limits: LimitChanges = {}
    public: bool | None = None


def function_setting_options(*, removals: bool) -> Callable[[_Command], _Command]:
    """Return a decorator that adds the options; with `removals`, also those that remove. `read_changes` reads them."""
    options = [
        click.option(
            "--env",
            metavar="NAME=VALUE",
            multiple=True,
            callback=_parse_env,
            help="Set an environment variable of the function. May be repeated.",
        ),
        click.option(
            "--env-file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            multiple=True,
            help="Set the environment variables of a .env file; --env goes before it.",
        ),
        click.option("--secret", metavar="NAME", multiple=True, help="Let the function use a secret. May be repeated."),
        click.option(
            "--outbound",
            metavar="ORIGIN",
            multiple=True,
            help="Let the function make requests to an origin such as https://api.example.com, https://*.example.com, "
            "or * for every one on the internet; or to addresses, 10.0.0.0/8. May be repeated.",
        ),
        limit_option,
    ]
    if removals:
        options += [
            click.option("--unset-env", metavar="NAME", multiple=True, help="Remove an environment variable."),
            click.option("--unset-secret", metavar="NAME", multiple=True, help="Remove a secret from the settings."),
            click.option("--unset-outbound", metavar="ORIGIN", multiple=True, help="Remove an origin."),
            click.option(
                "--public/--private",
                "public",
                default=None,
                help="Let anyone call the function as an HTTP endpoint, or ask for a token, as it is at first.",
            ),
        ]

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def read_changes(options: Mapping[str, Any]) -> SettingChanges:
    """Return what the options change. Raises ConfigurationError for a .env file that cannot be read."""
    env: dict[str, str] = {}
    for file in options["env_file"]:
        env |= read_env_file(file)
    return SettingChanges(
        env=env | options["env"],
        without_env=options.get("unset_env", ()),
        secrets=options["secret"],
        without_secrets=options.get("unset_secret", ()),
        outbound=options["outbound"],
        without_outbound=options.get("unset_outbound", ()),
        limits=options["limits"],
        public=options.get("public"),
    )


def read_env_file(file: Path) -> dict[str, str]:
    """Return the variables of a .env file. Nothing in it is replaced by variables of this process."""
    found = dotenv.dotenv_values(stream=io.StringIO(read_text_file(file)), interpolate=False)
    for name, value in found.items():
        if value is None or not is_variable_name(name):
            raise ConfigurationError(f"{file}: {name[:100]!r} is not NAME=VALUE with a NAME of {VARIABLE_FORM}")
    return {name: value for name, value in found.items() if value is not None}


def change_settings(settings: Mapping[str, Any], changes: SettingChanges) -> dict[str, Any]:
    """Return the settings of a function, as the API has them, with `changes`."""
    env = {**settings.get("env", {}), **changes.env}
    changed = {
        **settings,
        "env": {name: value for name, value in env.items() if name not in changes.without_env},
        "secrets": _merged(settings.get("secrets", ()), changes.secrets, changes.without_secrets),
        "outbound": _merged(settings.get("outbound", ()), changes.outbound, changes.without_outbound),
    }
    if changes.public is not None:
        changed["http"] = {**settings.get("http", {}), "auth": "none" if changes.public else "token"}
    changed = change_limits(changed, changes.limits)
    return {name: value for name, value in changed.items() if value}


def describe_settings(settings: Mapping[str, Any]) -> list[str]:
    """Return those settings that are not the defaults, as NAME=VALUE, with the names that options have."""
    if not isinstance(env := settings.get("env", {}), dict):  # of a server of another version
        return [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in settings.items()]
    shown = [f"env={name}={json.dumps(value, ensure_ascii=False)}" for name, value in env.items()]
    shown += [f"secret={name}" for name in settings.get("secrets", ())]
    shown += [f"outbound={origin}" for origin in settings.get("outbound", ())]
    shown += describe_limits(settings.get("limits", {}))
    shown += ["public"] if is_public(settings) else []
    known = {"env", "secrets", "outbound", "limits", "http"}
    others = {name: value for name, value in settings.items() if name not in known}
    return shown + [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in others.items()]


def is_public(settings: Mapping[str, Any]) -> bool:
    """Return whether anyone may call the HTTP endpoint of a function that has these settings."""
    return bool(settings.get("http", {}).get("auth") == "none")


def _parse_env(_context: click.Context, _parameter: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    env: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not is_variable_name(name):
            raise click.BadParameter(f"{name[:100]!r}; accepted is NAME=VALUE with a NAME of {VARIABLE_FORM}")
        env[name] = value
    return env


def _merged(present: Sequence[str], added: Sequence[str], removed: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys([*present, *added]) if name not in removed]
