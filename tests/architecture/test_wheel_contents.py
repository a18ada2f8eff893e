"""Check the files and the metadata of a wheel that is built from this checkout."""

import email.message
import email.parser
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from faas.engines import catalogue

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module", autouse=True)
def engines() -> None:
    """Build what `make wheel` builds first."""
    catalogue.build("javascript")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel, opened for reading."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> email.message.Message:
    """The wheel's METADATA."""
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return email.parser.Parser().parsestr(wheel.read(name).decode())


@pytest.mark.parametrize("name", ["LICENSE", "NOTICE"])
def test_wheel_contains_the_licence_files(wheel: zipfile.ZipFile, name: str) -> None:
    (found,) = [file for file in wheel.namelist() if file.endswith(f".dist-info/licenses/{name}")]
    assert wheel.read(found) == (ROOT / name).read_bytes()


def test_wheel_metadata_names_the_licence(metadata: email.message.Message) -> None:
    assert metadata["License-Expression"] == "Apache-2.0"


def test_wheel_declares_its_annotations(wheel: zipfile.ZipFile) -> None:
    assert wheel.read("faas/py.typed") == b""


def test_wheel_metadata_is_complete(metadata: email.message.Message) -> None:
    for field in ("Summary", "Author", "Keywords", "Requires-Python", "License-Expression"):
        assert metadata[field], field
    lowest = metadata["Requires-Python"].removeprefix(">=")
    assert f"Programming Language :: Python :: {lowest}" in metadata.get_all("Classifier", [])


def test_wheel_contains_the_built_engines(wheel: zipfile.ZipFile) -> None:
    built = catalogue.built_file("javascript")
    assert wheel.read(f"faas/engines/built/{built.name}") == built.read_bytes()
    assert not [name for name in wheel.namelist() if name.endswith(".lock") or "/engines/javascript/" in name]


def test_wheel_contains_every_file_of_the_compilers_worker(wheel: zipfile.ZipFile) -> None:
    toolchain = ROOT / "src" / "faas" / "compile" / "toolchain"
    wanted = {f"faas/compile/toolchain/{file.name}" for file in toolchain.glob("*.mjs")}
    assert len(wanted) > 1
    assert wanted <= set(wheel.namelist())
