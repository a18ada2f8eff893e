"""The parts of the installation, there and missing."""

from pathlib import Path

import pytest

from faas.cli import version
from faas.compile.languages import assemblyscript
from faas.doctor import installation, parts
from faas.doctor.installation import check, check_packages, check_python
from faas.engines import catalogue
from faas.languages import Language
from faas.settings import Settings


def test_installation_of_this_checkout_is_ok() -> None:
    catalogue.build("javascript")
    found = {finding.check: finding.status for finding in check(Settings())}
    assert found == dict.fromkeys(
        ["python", "packages", "wasmtime", "node", "javascript", "assemblyscript", "wizer"], "OK"
    )


def test_python_older_than_needed_fails() -> None:
    assert check_python((3, 10, 14)).status == "FAIL"
    assert check_python((3, 11, 0)).status == "OK"


def test_packages_missing_are_named() -> None:
    wanted = ["msgspec>=0.22", "no-such-package<2,>=1", "other_missing", "google-genai<4,>=3.3; extra == 'none'"]
    found = check_packages(wanted)
    assert (found.status, found.finding) == ("FAIL", "missing: no-such-package, other_missing")
    assert check_packages(wanted[:1]).status == "OK"


def test_packages_that_cannot_be_loaded_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_native.py").write_text("raise ImportError('libfoo.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    found = check_packages([], ["broken_native"])
    assert found.status == "FAIL"
    assert "broken_native cannot be loaded: libfoo.so.1" in found.finding


def test_toolchain_missing_fails_only_where_it_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (assemblyscript, parts, installation):
        monkeypatch.setattr(module, "TOOLCHAIN", tmp_path)
    for settings, status in (
        (Settings(), "FAIL"),
        (Settings(role="api"), "WARN"),
        (Settings(languages=("wat", "wasm")), "WARN"),
    ):
        found = {finding.check: finding for finding in check(settings)}
        assert found["node"].status == found["assemblyscript"].status == status
        assert found["wizer"].status == "WARN"
        assert "start-up code then runs in every execution" in found["wizer"].finding
        assert found["python"].status == "OK"


def test_version_prints_the_parts_that_doctor_knows() -> None:
    lines = version.describe().splitlines()
    assert lines[0].startswith("faas ")
    assert [line.split()[0] for line in lines[1:]] == list(parts.PARTS)
    assert "does not start" not in "".join(lines)


@pytest.mark.parametrize(
    ("languages", "recipe", "status", "words"),
    [
        (("javascript",), True, "WARN", "the server builds it in the background"),
        (("typescript",), False, "FAIL", "the engine is missing"),
        (("wat",), False, "WARN", "JavaScript cannot be compiled"),
    ],
)
def test_installation_reports_a_missing_engine(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    languages: tuple[Language, ...],
    recipe: bool,
    status: str,
    words: str,
) -> None:
    monkeypatch.setattr(catalogue, "built_file", lambda _name: tmp_path / "javascript.wasm")
    monkeypatch.setattr(catalogue, "can_build", lambda _name: recipe)
    found = {finding.check: finding for finding in installation.check(Settings(languages=languages))}
    assert found["javascript"].status == status
    assert words in found["javascript"].finding
