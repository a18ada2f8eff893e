"""Settings as command-line options, and environment variables in `--help`."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
import msgspec

from faas.compute_module.settings import Setting, settings_of

Command = TypeVar("Command", bound=Callable[..., Any])
SettingsStruct = type[msgspec.Struct]


def setting_options(*structs: SettingsStruct) -> Callable[[Command], Command]:
    """Return a decorator that adds the options of `structs` to a command, in their order.

    The command receives each value as text, None when the option is not given, for `load_settings`.
    """
    settings = [setting for struct in structs for setting in settings_of(struct) if setting.has_option]

    def decorate(command: Command) -> Command:
        for setting in reversed(settings):
            command = _option(setting)(command)
        return command

    return decorate


def _option(setting: Setting) -> Callable[[Command], Command]:
    if setting.type.is_flag:
        names = f"{setting.option}/--no-{setting.option.removeprefix('--')}"
        return click.option(names, setting.name, default=None, callback=_flag_text, help=_help_text(setting))
    choices = click.Choice(setting.type.choices) if setting.type.choices else None
    return click.option(
        setting.option, setting.name, type=choices, metavar=setting.type.metavar, help=_help_text(setting)
    )


def _help_text(setting: Setting) -> str:
    facts = [("env", setting.variable), ("default", setting.shown_default)]
    shown = "; ".join(f"{name}: {fact}" for name, fact in facts if fact)
    return f"{setting.description[0].upper()}{setting.description[1:]}." + (f"  [{shown}]" if shown else "")


def _flag_text(_context: click.Context, _parameter: click.Parameter, value: bool | None) -> str | None:
    return None if value is None else str(value).lower()


def command_with_variables(*structs: SettingsStruct) -> type[click.Command]:
    """Return a command class whose `--help` ends with the environment variables of `structs`."""
    settings = [setting for struct in structs for setting in settings_of(struct)]

    class CommandWithVariables(click.Command):
        def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
            super().format_epilog(ctx, formatter)
            rows: Sequence[tuple[str, str]] = [
                (setting.variable, f"{setting.description[0].upper()}{setting.description[1:]}.")
                for setting in settings
                if setting.variable
            ]
            with formatter.section("Environment variables"):
                formatter.write_dl(rows)

    return CommandWithVariables
