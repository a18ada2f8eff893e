"""Options of commands for the settings."""

from collections.abc import Callable
from typing import Any

import click

from faas import settings
from faas.settings import Field
from faas.units import format_duration, format_size


def shown_default(field: Field) -> str:
    """Return the default value in the format in which the option accepts it."""
    if field.default is None:
        return field.default_text or "none"
    if field.form == "duration":
        return format_duration(field.default)
    if field.form == "size":
        return format_size(field.default).replace(" ", "")
    if field.is_list:
        return ",".join(field.default) or "none"
    return str(field.default)


def _option(field: Field) -> Callable[[Any], Any]:
    """Return the option of one setting. Its value stays text, which `settings.load` parses and validates."""
    noun = "|".join(field.choices) or field.name.rsplit("_", maxsplit=1)[-1].upper()
    metavar = {"duration": "DURATION", "retention": "DURATION", "size": "SIZE", "workers": "N|auto"}.get(
        field.form or "", {int: "N"}.get(field.type, noun)
    )
    text = f"{field.description[0].upper()}{field.description[1:]}."
    return click.option(
        field.option,
        field.name,
        metavar=metavar,
        default=None,
        help=f"{text}  [env: {field.variable}; default: {shown_default(field)}]",
    )


def with_settings(*names: str) -> Callable[[Any], Any]:
    """Return a decorator that adds options for the settings `names`, or for all settings."""
    chosen = [field for field in settings.fields() if not names or field.name in names]

    def decorate(function: Any) -> Any:
        for field in reversed(chosen):
            function = _option(field)(function)
        return function

    return decorate
