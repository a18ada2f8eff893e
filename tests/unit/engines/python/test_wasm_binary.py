"""Reading and rewriting modules for the linker."""

import pytest
import wasmtime

from engines.python.wasm_binary import FUNCTION_KIND, GLOBAL_KIND, Export, Import, Module
from tests.helpers.support import wat

LIBRARY = wat("""(module
  (import "env" "memory" (memory 1))
  (import "env" "table" (table 1 funcref))
  (import "env" "__memory_base" (global $memory i32))
  (import "env" "__table_base" (global $table i32))
  (import "env" "other" (func $other (param i32 i64) (result f64)))
  (global $inside i32 (i32.add (global.get $memory) (i32.const 8)))
  (global $symbol (export "symbol") i32 (i32.const 24))
  (global $changing (mut i32) (i32.const -1))
  (func $own (export "own") (param f32) (result i32) (global.get $inside))
  (elem (offset (global.get $table)) func $own)
  (data (offset (global.get $memory)) "content"))""")
BASES = {"__memory_base": 1000, "__table_base": 7}


def test_module_reads_imports_exports_and_types() -> None:
    module = Module(LIBRARY, BASES)
    assert [(item.module, item.name) for item in module.imports][:2] == [("env", "memory"), ("env", "table")]
    assert [export.name for export in module.exports] == ["symbol", "own"]
    assert module.signature(module.function_exports["own"]) == "(param f32) (result i32)"
    other = next(item for item in module.imports if item.name == "other")
    assert module.signature_of(other) == module.signature(0) == "(param i32 i64) (result f64)"


def test_module_evaluates_constant_expressions() -> None:
    module = Module(LIBRARY, BASES)
    assert [found.initial for found in module.globals] == [1008, 24, 0xFFFF_FFFF]
    assert [found.mutable for found in module.globals] == [False, False, True]
    assert module.data_symbols == {"symbol": 24}


def test_module_refuses_an_unknown_global_in_a_constant_expression() -> None:
    with pytest.raises(KeyError):
        Module(LIBRARY)


def test_rewritten_module_has_constant_offsets_and_new_names() -> None:
    module = Module(LIBRARY, BASES)
    imports = [Import("x", item.name, item.kind, item.type) for item in module.imports]
    index = module.function_exports["own"]
    binary = module.rewritten(imports, [Export("renamed", FUNCTION_KIND, index), Export("g", GLOBAL_KIND, 2)])
    rewritten = Module(binary)  # without values of the imported globals: nothing refers to them
    assert {item.module for item in rewritten.imports} == {"x"}
    assert [export.name for export in rewritten.exports] == ["renamed", "g"]
    assert rewritten.section(11) != module.section(11)
    wasmtime.Module(wasmtime.Engine(), binary)
