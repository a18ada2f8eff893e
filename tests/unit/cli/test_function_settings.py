"""Tests of settings of a function on the command line."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from faas.cli.function_settings import (
    SettingChanges,
    change_settings,
    describe_settings,
    function_setting_options,
    read_changes,
)
from faas.errors import ConfigurationError

found: list[SettingChanges] = []


@click.command()
@function_setting_options(removals=True)
def command(**options: Any) -> None:
    found.append(read_changes(options))


def changes(*arguments: str) -> SettingChanges:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return found.pop()


def test_options_change_what_they_name_and_leave_the_rest() -> None:
    present = {
        "env": {"KEPT": "1", "CHANGED": "1", "REMOVED": "1"},
        "secrets": ["KEPT_KEY", "REMOVED_KEY"],
        "outbound": ["https://kept.example", "https://removed.example"],
        "limits": {"time": 1},
        "http": {"auth": "none"},
    }
    given = changes(
        "--env", "CHANGED=a=b", "--env", "EMPTY=", "--unset-env", "REMOVED", "--secret", "NEW_KEY",
        "--unset-secret", "REMOVED_KEY", "--outbound", "https://new.example", "--outbound", "https://kept.example",
        "--unset-outbound", "https://removed.example", "--limit", "memory=64MiB", "--private",
    )  # fmt: skip
    assert change_settings(present, given) == {
        "env": {"KEPT": "1", "CHANGED": "a=b", "EMPTY": ""},
        "secrets": ["KEPT_KEY", "NEW_KEY"],
        "outbound": ["https://kept.example", "https://new.example"],
        "limits": {"time": 1, "memory": 67108864},
        "http": {"auth": "token"},
    }


def test_no_options_change_nothing() -> None:
    present = {"env": {"A": "1"}, "secrets": ["B"], "outbound": ["*"], "limits": {"time": 1}, "http": {"auth": "none"}}
    assert change_settings(present, changes()) == present
    assert change_settings({}, changes()) == {}


def test_env_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# a comment\nA=1\nexport B=\"two words\"\n\nC='$HOME ${A}'\nD=é\nE=\n")
    assert changes("--env-file", str(file), "--env", "A=2").env == {
        "A": "2", "B": "two words", "C": "$HOME ${A}", "D": "é", "E": "",
    }  # fmt: skip


@pytest.mark.parametrize("line", ["NOVALUE", "A-B=1", "1A=2"])
def test_env_file_with_another_line_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"A=1\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"is not NAME=VALUE"):
        changes("--env-file", str(tmp_path / ".env"))


@pytest.mark.parametrize("given", ["NAME", "=hidden", "A B=hidden", "1A=hidden", "é=hidden"])
def test_env_option_with_another_form_is_refused_without_its_value(given: str) -> None:
    result = CliRunner().invoke(command, ["--env", given])
    assert result.exit_code == 2
    assert "accepted is NAME=VALUE" in result.output
    assert "hidden" not in result.output


def test_describe_settings_shows_what_the_options_take() -> None:
    settings = {
        "env": {"A": "two words"}, "secrets": ["KEY"], "outbound": ["https://a.example"], "limits": {"time": 5},
        "http": {"auth": "none"}, "later": [1],
    }  # fmt: skip
    assert describe_settings(settings) == [
        'env=A="two words"', "secret=KEY", "outbound=https://a.example", "time=5s", "public", "later=[1]",
    ]  # fmt: skip
    assert describe_settings({"http": {"auth": "token"}}) == []
