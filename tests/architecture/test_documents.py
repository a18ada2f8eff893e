"""Tests that the documentation agrees with the code: settings, commands, paths, packages and decisions."""

import re
from pathlib import Path
from typing import get_args

from faas import settings
from faas.api.openapi import openapi_description
from faas.cli import _COMMANDS
from faas.cli.setting_options import shown_default
from faas.languages import Language

ROOT = Path(__file__).parent.parent.parent
REFERENCE = ROOT / "docs" / "reference"
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def test_settings_page_has_every_setting_with_its_default() -> None:
    page = (REFERENCE / "settings.md").read_text()
    shown = re.findall(r"^\| `(FAAS_\w+)` \| `?([^|`]+?)`? \| ([^|]+) \|$", page, flags=re.MULTILINE)
    wanted = [(field.variable, shown_default(field), field.description) for field in settings.fields()]
    root_only = {"FAAS_DATA_DIR"}  # its default depends on the user
    assert [row for row in shown if row[0] not in root_only] == [row for row in wanted if row[0] not in root_only]
    assert {row[0] for row in shown} == {row[0] for row in wanted}


def test_command_line_page_names_every_command() -> None:
    page = (REFERENCE / "cli.md").read_text()
    for command in _COMMANDS:
        assert f"faas {command}" in page, command


def test_language_has_a_compiler() -> None:
    files = {file.stem for file in (ROOT / "src" / "faas" / "compile" / "languages").glob("*.py")} - {"__init__"}
    assert files == set(get_args(Language))


def test_architecture_page_names_every_package() -> None:
    packages = {folder.name for folder in (ROOT / "src" / "faas").iterdir() if (folder / "__init__.py").exists()}
    for package in packages:
        assert f"`{package}`" in ARCHITECTURE or f"{package}/" in ARCHITECTURE, package


def test_http_page_names_every_operation_of_the_api() -> None:
    page = (REFERENCE / "http.md").read_text()
    for path, operations in openapi_description()["paths"].items():
        for method in set(operations) - {"parameters"}:
            assert f"`{method.upper()} {path}`" in page, (method, path)


def test_source_files_have_at_most_400_lines() -> None:
    for file in (ROOT / "src").rglob("*.py"):
        assert len(file.read_text().splitlines()) <= 400, file


def test_decision_index_links_every_decision() -> None:
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text()
    for file in (ROOT / "docs" / "decisions").glob("*.md"):
        assert file.name == "README.md" or file.name in listed, file
