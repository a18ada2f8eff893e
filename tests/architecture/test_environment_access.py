"""Tests that environment variables are read only where settings are read."""

import ast
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src" / "faas"
READERS = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}

# File → what it reads. Everything else gets its settings as arguments.
ALLOWED = {
    "settings.py": "FAAS_…, the settings of the server and of the commands; XDG_DATA_HOME, XDG_CONFIG_HOME",
    "database/url.py": "PGSERVICEFILE, which libpq defines; asyncpg reads libpq's other variables itself",
    "compute_module/settings.py": "the settings of the compute module, and the variables that Foundry sets for it",
}


def environment_accesses(source: str) -> list[int]:
    """The lines that use `os.environ` or a function of `os` for environment variables."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in READERS and ast.unparse(node.value) == "os":
            lines.append(node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            lines += [node.lineno for name in node.names if name.name in READERS]
    return lines


def test_environment_is_read_in_the_listed_files() -> None:
    found = {str(file.relative_to(SOURCES)) for file in SOURCES.rglob("*.py") if environment_accesses(file.read_text())}
    assert found == set(ALLOWED)


@pytest.mark.parametrize(
    "access", ["os.environ['X']", "os.getenv('X')", "from os import environ", "f(dict(os.environ))"]
)
def test_environment_accesses_finds_each_form(access: str) -> None:
    assert environment_accesses(access) == [1]
    assert environment_accesses("environ.get('X')") == []
