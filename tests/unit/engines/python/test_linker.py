"""Linking of shared libraries, run in wasmtime."""

from pathlib import Path

import pytest
import wasmtime

from engines.python import binaryen, host_module, linker
from engines.python.distribution import SharedLibrary
from tests.helpers.support import wat

MEMORY_BYTES = 2 << 20
IMPORTS = """
  (import "env" "memory" (memory 1))
  (import "env" "__indirect_function_table" (table 0 funcref))
  (import "env" "__memory_base" (global $memory i32))
  (import "env" "__table_base" (global $table i32))"""
# `first` calls `add` of `second` directly and through its address, and reads the datum of `second`.
FIRST = f"""(module {IMPORTS}
  (type $binary (func (param i32 i32) (result i32)))
  (import "env" "add" (func $add (type $binary)))
  (import "GOT.func" "add" (global $add_address (mut i32)))
  (import "GOT.mem" "datum" (global $datum (mut i32)))
  (import "GOT.func" "nowhere" (global $nowhere (mut i32)))
  (import "env" "missing" (func $missing (param i32) (result i32)))
  (import "wasi:io/streams@0.2.0" "[method]output-stream.write" (func $write (param i32 i32 i32 i32)))
  (func (export "direct") (result i32) (call $add (i32.const 40) (i32.const 2)))
  (func (export "through_address") (result i32)
    (call_indirect (type $binary) (i32.const 1) (i32.const 2) (global.get $add_address)))
  (func (export "datum_value") (result i32) (i32.load (global.get $datum)))
  (func (export "null_address") (result i32) (global.get $nowhere))
  (func (export "call_missing") (result i32) (call $missing (i32.const 5)))
  (func (export "write_result") (result i32)
    (call $write (i32.const 0) (i32.const 0) (i32.const 0) (global.get $memory)) (i32.load (global.get $memory)))
  (data (offset (global.get $memory)) "first"))"""
SECOND = f"""(module {IMPORTS}
  (global (export "datum") i32 (i32.const 4))
  (func $add (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (elem (offset (global.get $table)) func $add)
  (data (offset (global.get $memory)) "\\00\\00\\00\\00\\2a\\00\\00\\00"))"""


@pytest.fixture(scope="module")
def linked() -> linker.Linked:
    libraries = [SharedLibrary("first", wat(FIRST), 16, 16, 0, 1), SharedLibrary("second", wat(SECOND), 8, 4, 1, 1)]
    return linker.link(libraries, memory_bytes=MEMORY_BYTES, host_functions=[], cells_bytes=64)


def test_linker_gives_each_library_its_own_memory(linked: linker.Linked) -> None:
    assert linked.cells + 64 <= linked.symbols["datum"] < linked.symbols["__heap_base"]
    assert linked.symbols["__heap_base"] % linker.WASM_PAGE_BYTES == 0
    assert linked.symbols["__heap_end"] == MEMORY_BYTES


def test_linker_names_what_no_library_defines(linked: linker.Linked) -> None:
    assert linked.undefined == {
        "missing": "(param i32) (result i32)",
        "wasi:io/streams@0.2.0#[method]output-stream.write": "(param i32 i32 i32 i32) (result )",
    }
    assert list(linked.slots) == ["add"]


def test_linker_refuses_a_memory_that_is_too_small() -> None:
    with pytest.raises(ValueError, match="past the memory"):
        linker.link([SharedLibrary("first", wat(FIRST), 1 << 20, 1, 0, 1)], memory_bytes=1 << 20, host_functions=[], cells_bytes=0)  # fmt: skip


def test_merged_libraries_call_each_other(linked: linker.Linked, tmp_path: Path) -> None:
    answers = "\n".join(
        f'(func (export "{name}") {signature} {host_module.answer(name, signature)})'
        for name, signature in linked.undefined.items()
    )
    modules = {
        "link": wat(linked.link_text),
        "host": wat(f'(module (import "link" "memory" (memory 0)) {answers})'),
        **linked.modules,
    }
    files = []
    for name, binary in modules.items():
        files.append((name, tmp_path / f"{name}.wasm"))
        files[-1][1].write_bytes(binary)
    binaryen.merge(files, tmp_path / "merged.wasm")
    optimized = tmp_path / "optimized.wasm"
    binaryen.optimize(tmp_path / "merged.wasm", optimized)
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    exports = wasmtime.Instance(store, wasmtime.Module(engine, optimized.read_bytes()), []).exports(store)

    def call(name: str) -> int:
        function = exports[name]
        assert isinstance(function, wasmtime.Func)
        result: int = function(store)
        return result

    assert call("direct") == 42
    assert call("through_address") == 3
    assert call("datum_value") == 42
    assert call("null_address") == 0
    assert call("call_missing") == 0
    assert call("write_result") == 1  # the tag of an error
