"""The check of uvicorn's private API: it accepts the locked version and rejects any other layout."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from faas.errors import ConfigurationError
from faas.server import uvicorn_internals
from faas.server.uvicorn_internals import HttpToolsProtocol, check_layout

ROOT = Path(__file__).parents[3]


def test_check_layout_accepts_the_installed_uvicorn() -> None:
    check_layout()


def test_check_layout_rejects_a_method_with_other_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    def on_body(self: Any, body: bytes, last: bool) -> None: ...

    parameters = {**uvicorn_internals._PARAMETERS, on_body: ("self", "body")}
    monkeypatch.setattr(uvicorn_internals, "_PARAMETERS", parameters)
    with pytest.raises(ConfigurationError, match=r"uvicorn \S+ is not supported: .*on_body has the parameters"):
        check_layout()


def test_check_layout_rejects_a_missing_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    attributes = {HttpToolsProtocol.__init__: frozenset({"cycle", "requests"})}
    monkeypatch.setattr(uvicorn_internals, "_ATTRIBUTES", attributes)
    with pytest.raises(ConfigurationError, match=r"HttpToolsProtocol.__init__ does not assign requests; install"):
        check_layout()


def test_uvicorn_is_pinned_below_the_next_minor_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (pinned,) = [dependency for dependency in project["dependencies"] if dependency.startswith("uvicorn")]
    assert pinned == "uvicorn>=0.54,<0.55"


def test_uvicorn_private_api_is_imported_in_one_module() -> None:
    importing = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "src").rglob("*.py")
        if "from uvicorn" in file.read_text() or "import uvicorn." in file.read_text()
    }
    assert importing == {"src/faas/server/uvicorn_internals.py"}
