"""Tests of faas.toml, which says what a function is deployed with."""

from pathlib import Path

import pytest

from faas.cli.project_file import find_project
from faas.errors import ConfigurationError

WHOLE = """
name = "orders"
file = "main.ts"
language = "typescript"
description = "Takes orders"
secrets = ["KEY"]
outbound = ["https://api.example.com"]

[env]
MODE = "test"

[limits]
time = "5s"
memory = 67108864
concurrency = 4
perSecond = 0.5

[http]
auth = "none"
"""


def write(folder: Path, text: str, *sources: str) -> Path:
    (folder / "faas.toml").write_text(text)
    for source in sources:
        (folder / source).write_text("")
    return folder


def test_project_of_a_folder(tmp_path: Path) -> None:
    project = find_project(write(tmp_path, WHOLE, "main.ts", "other.ts"))
    assert project
    assert (project.file, project.name, project.language) == (tmp_path / "main.ts", "orders", "typescript")
    assert project.description == "Takes orders"
    assert project.settings == {
        "env": {"MODE": "test"},
        "secrets": ["KEY"],
        "outbound": ["https://api.example.com"],
        "limits": {"time": 5.0, "memory": 67108864, "concurrency": 4, "perSecond": 0.5},
        "http": {"auth": "none"},
    }


def test_project_belongs_to_the_file_that_it_names(tmp_path: Path) -> None:
    write(tmp_path, WHOLE, "main.ts", "other.ts")
    assert find_project(tmp_path / "main.ts")
    assert find_project(tmp_path / "other.ts") is None
    assert find_project(tmp_path / "faas.toml") is None


def test_project_without_a_file_takes_the_only_source(tmp_path: Path) -> None:
    project = find_project(write(tmp_path, "", "only.py", "README.md"))
    assert project
    assert (project.file, project.name, project.settings) == (tmp_path / "only.py", None, {})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("title = 1", "title: unknown; accepted are name, file, language"),
        ("name = 1", "name: 1 is not accepted; needed is a text"),
        ('file = "missing.ts"', "file: there is no missing.ts beside it"),
        ('language = "cobol"', "language: 'cobol' is not accepted; accepted are javascript"),
        ('env = "A=1"', "env: needed is a table of texts"),
        ("[env]\nA = 1", "env: needed is a table of texts"),
        ('secrets = "KEY"', "secrets: needed is an array of texts"),
        ("outbound = [1]", "outbound: needed is an array of texts"),
        ('[limits]\ntime = "5 parsecs"', "limits: time: '5 parsecs' is not a duration"),
        ("[limits]\ncpu = 1", "limits: cpu is unknown; accepted are time, memory, concurrency, perSecond"),
        ("[limits]\ntime = true", "limits: time: True is not a duration"),
        ('[http]\nauth = "some"', 'http: accepted is auth = "token" or auth = "none"'),
        ("name = ", "Invalid value"),
    ],
)
def test_project_that_is_not_valid_names_the_key(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        find_project(write(tmp_path, text, "only.py"))
    assert reason in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "faas.toml"))


def test_folder_without_a_project_or_with_several_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"the folder has no faas\.toml"):
        find_project(tmp_path)
    with pytest.raises(ConfigurationError, match=r'needs file = "…".*a\.py, b\.py'):
        find_project(write(tmp_path, "", "a.py", "b.py"))
