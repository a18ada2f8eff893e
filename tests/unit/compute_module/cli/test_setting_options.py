"""Settings as options: names, help texts, values."""

import re

import msgspec
import pytest
from click.testing import CliRunner

from faas.compute_module.cli.mock_foundry import mock_foundry
from faas.compute_module.cli.pipeline import foundry, local
from faas.compute_module.settings import (
    FaasVariables,
    FoundryRunSettings,
    FoundryVariables,
    GeminiVariables,
    MockFoundrySettings,
    RunSettings,
    settings_of,
)

COMMANDS = [
    (local, [RunSettings], [FaasVariables, GeminiVariables]),
    (foundry, [FoundryRunSettings, RunSettings], [FoundryVariables, FaasVariables, GeminiVariables]),
    (mock_foundry, [MockFoundrySettings], []),
]


@pytest.mark.parametrize(("command", "options", "variables"), COMMANDS)
def test_setting_options_help_shows_every_setting(
    command: object, options: list[type[msgspec.Struct]], variables: list[type[msgspec.Struct]]
) -> None:
    result = CliRunner().invoke(command, ["--help"], env={}, terminal_width=500)  # type: ignore[arg-type]
    assert result.exit_code == 0
    shown = " ".join(result.output.split())
    for setting in [setting for kind in options for setting in settings_of(kind)]:
        facts = [("env", setting.variable), ("default", setting.shown_default)]
        end = "; ".join(f"{name}: {fact}" for name, fact in facts if fact)
        assert re.search(
            rf" {setting.option}[ /][^.]*.{re.escape(setting.description[1:])}\."
            + re.escape(f" [{end}]" if end else ""),
            shown,
        ), setting.name
    for setting in [setting for kind in variables for setting in settings_of(kind)]:
        assert re.search(rf" {setting.variable} .{re.escape(setting.description[1:])}\.", shown), setting.name
