"""The Python engine as it is built: reproducible, and closed but for the host functions of its convention."""

import hashlib
import re
from pathlib import Path

import pytest
import wasmtime

from engines.python import binaryen, build
from faas.engines import catalogue
from faas.runtime import abi
from faas.runtime.engine_module import mutable_globals_of
from faas.runtime.images.binary_format import DATA, Reader, read_sections

WASM_PAGE_BYTES = 64 << 10


@pytest.fixture(scope="module")
def engine() -> bytes:
    return catalogue.build("python").read_bytes()


@pytest.fixture(scope="module")
def module(engine: bytes) -> wasmtime.Module:
    config = wasmtime.Config()
    config.cranelift_opt_level = "none"  # it is not called here
    return wasmtime.Module(wasmtime.Engine(config), engine)


@pytest.mark.slow
def test_python_engine_is_built_to_the_same_bytes_again(engine: bytes) -> None:
    assert hashlib.sha256(build.build()).hexdigest() == hashlib.sha256(engine).hexdigest()


def test_python_engine_follows_its_convention(module: wasmtime.Module) -> None:
    convention = abi.detect_engine(module)
    assert not isinstance(convention, abi.NoConvention)
    assert convention.name == "Python"


def test_python_engine_exports_its_state_and_entry_points_only(module: wasmtime.Module) -> None:
    assert {export.name for export in module.exports} == build.EXPORTS
    assert mutable_globals_of(module) == ["__stack_pointer"]


def test_python_engine_is_mapped_copy_on_write(engine: bytes, module: wasmtime.Module) -> None:
    """wasmtime maps a memory of more than 16 MiB only where at least half of it is data, and copies it otherwise."""
    memory = next(export.type for export in module.exports if isinstance(export.type, wasmtime.MemoryType))
    assert memory.limits.min * WASM_PAGE_BYTES == build.MEMORY_BYTES
    reader = Reader(next(content for kind, content in read_sections(engine) if kind == DATA))
    data_bytes = 0
    for _ in range(reader.u32()):
        reader.take(2)  # the kind of the segment, and i32.const
        reader.address()
        reader.byte()  # the end of the expression
        data_bytes += len(reader.name())
    assert data_bytes > build.MEMORY_BYTES * 0.55


@pytest.mark.slow
def test_python_engine_code_does_not_change_its_table(engine: bytes, tmp_path: Path) -> None:
    (tmp_path / "engine.wasm").write_bytes(engine)
    binaryen.disassemble(tmp_path / "engine.wasm", tmp_path / "engine.wat")
    changes = re.compile(rb"\(table\.(?:set|grow|fill|copy|init)\b")
    globals_ = re.compile(rb"^ \(global \S+ \(mut ")
    with (tmp_path / "engine.wat").open("rb") as text:
        found = [(bool(changes.search(line)), bool(globals_.match(line))) for line in text]
    assert not any(change for change, _ in found)
    assert sum(mutable for _, mutable in found) == 1
