"""The JavaScript engine as it is built: reproducible, and closed but for the host functions of its convention."""

import hashlib
import re
import subprocess
from pathlib import Path

import pytest
import wasmtime

from engines.javascript import build
from faas.engines import catalogue
from faas.runtime import abi
from faas.runtime.engine_module import mutable_globals_of


@pytest.fixture(scope="module")
def engine() -> bytes:
    return catalogue.build("javascript").read_bytes()


@pytest.fixture(scope="module")
def module(engine: bytes) -> wasmtime.Module:
    return wasmtime.Module(wasmtime.Engine(), engine)


@pytest.mark.slow
def test_engine_is_built_to_the_same_bytes_again(engine: bytes) -> None:
    assert hashlib.sha256(build.build()).hexdigest() == hashlib.sha256(engine).hexdigest()


def test_engine_follows_the_javascript_convention(module: wasmtime.Module) -> None:
    convention = abi.detect_engine(module)
    assert not isinstance(convention, abi.NoConvention)
    assert convention.name == "JavaScript"


def test_engine_exports_its_state_and_entry_points_only(module: wasmtime.Module) -> None:
    assert {export.name for export in module.exports} == {*build.ENTRY_POINTS, *build.STATE}
    assert mutable_globals_of(module) == ["__stack_pointer", "state"]


def test_engine_code_does_not_change_its_table_or_other_globals(engine: bytes, tmp_path: Path) -> None:
    (tmp_path / "engine.wasm").write_bytes(engine)
    files = [str(tmp_path / "engine.wasm"), "-o", str(tmp_path / "engine.wat")]
    subprocess.run([str(build.NODE), str(build.BINARYEN / "wasm-dis"), *files], check=True, capture_output=True)
    text = (tmp_path / "engine.wat").read_text()
    assert re.findall(r"\(table\.(?:set|grow|fill|copy|init)\b", text) == []
    assert len(re.findall(r"^ \(global \S+ \(mut ", text, re.MULTILINE)) == 2
    assert len(re.findall(r"^ \(table ", text, re.MULTILINE)) == 1
