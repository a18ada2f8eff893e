"""Bundling of files that import others, with the esbuild that the JavaScript engine is built with."""

from pathlib import Path

import pytest

from engines.javascript.build import PACKAGES
from faas.cli.bundle import find_esbuild, load_source
from faas.errors import ConfigurationError
from faas.languages import Language


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with esbuild in node_modules/.bin, and none on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    (program,) = (PACKAGES / "@esbuild").glob("*/bin/esbuild")
    binaries = tmp_path / "node_modules" / ".bin"
    binaries.mkdir(parents=True)
    (binaries / "esbuild").symlink_to(program)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "greet.ts").write_text("export const greet = (name: string): string => `Hello, ${name}!`;\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text", "language"),
    [
        ("a.js", "import { greet } from './greet';\nexport const handle = ({ name }) => greet(name);", "javascript"),
        ("a.ts", "import {\n  greet,\n} from './greet';\nexport const handle = (i: any): any => greet(i.name);", "typescript"),
        ("a.cjs", "const { greet } = require('./greet');\nexports.handle = ({ name }) => greet(name);", "javascript"),
        ("a.mts", "export { greet as handle } from './greet';", "typescript"),
    ],
)  # fmt: skip
def test_bundle_is_one_javascript_file(project: Path, name: str, text: str, language: Language) -> None:
    file = project / "src" / name
    file.write_text(text)
    loaded = load_source(file, language)
    assert loaded.bundled_with == project / "node_modules" / ".bin" / "esbuild"
    assert loaded.language == "javascript"
    assert "Hello, ${name}!" in loaded.text
    assert "handle" in loaded.text
    assert "./greet" not in loaded.text.replace("// src/", "")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("export const handle = () => 1;", "javascript"),
        ("import type { X } from './greet';\nexport const handle = (x: X) => x;", "typescript"),
        ("import { JSON } from 'json-as';", "assemblyscript"),
        ("export const handle = () => 'import x from y';", "javascript"),
    ],
)
def test_bundle_is_not_made_without_imports(project: Path, text: str, language: Language) -> None:
    file = project / "src" / "a.ts"
    file.write_text(text)
    loaded = load_source(file, language)
    assert (loaded.text, loaded.language, loaded.bundled_with) == (text, language, None)


def test_bundle_reports_what_esbuild_says(project: Path) -> None:
    file = project / "src" / "a.js"
    file.write_text("import x from './missing';\nexport const handle = () => x;")
    with pytest.raises(ConfigurationError) as refused:
        load_source(file, "javascript")
    assert 'Could not resolve "./missing"' in str(refused.value)
    assert "Node's own modules" not in str(refused.value)


def test_bundle_says_that_functions_do_not_have_modules_of_node(project: Path) -> None:
    """esbuild advises --platform=node, which would not help."""
    file = project / "src" / "a.js"
    file.write_text("import fs from 'fs';\nexport const handle = () => fs;")
    with pytest.raises(ConfigurationError) as refused:
        load_source(file, "javascript")
    assert str(refused.value).endswith("functions do not have Node's own modules; there is no other platform to choose")


def test_bundle_needs_an_esbuild(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    file = tmp_path / "a.js"
    file.write_text("import x from './x';")
    assert find_esbuild(file) is None
    assert load_source(file, "javascript").text == "import x from './x';"


def test_bundle_uses_an_esbuild_on_the_path(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(project / "node_modules" / ".bin"))
    (tmp_path / "elsewhere").mkdir()
    found = find_esbuild(Path("/elsewhere/a.js"))
    assert found == project / "node_modules" / ".bin" / "esbuild"
