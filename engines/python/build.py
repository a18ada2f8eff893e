"""Builds the Python engine: `python -m engines.python.build OUTPUT`, from the root of a checkout.

1. CPython's libraries for WASI and its standard library are unpacked (unpack.py).
2. The libraries are linked (linker.py) and become one module with host_module.py, which answers the system interface.
3. In an instance of it CPython starts, loads the library and the modules of guest/, and calls a function that uses much
   of the library, so that what an interpreter does once is done (interpreter.py).
4. The memory of that instance becomes the initial memory of the engine; wasm-opt removes what is not needed any more.

The output depends on the files here and the locked packages alone, not on the machine or the time.
"""

import sys
import tempfile
from pathlib import Path

import wasmtime

from engines.python import binaryen, distribution, host_module, linker
from engines.python.environment import environment
from engines.python.interpreter import Interpreter
from engines.python.wasm_binary import FUNCTION_KIND, GLOBAL_KIND, Module
from engines.snapshot import with_state

# 21 MiB are in use at the start. The rest is what a call may use before the memory grows, which costs two system calls.
# It is not more, because wasmtime maps a memory copy-on-write only where at least half of it is data.
MEMORY_BYTES = 28 << 20
EXPORTS = {*host_module.ENTRY_POINTS, "memory", "__stack_pointer"}
_PRACTICE = Path(__file__).with_name("practice.py")
_PRACTICE_ROUNDS, _PRACTICE_CALLS = 5, 60


def build() -> bytes:
    """Return the engine module."""
    python = environment()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        unpacked = folder / "unpacked"
        unpacked.mkdir()
        found = distribution.unpack(python, unpacked)
        linked = linker.link(
            found.libraries,
            memory_bytes=MEMORY_BYTES,
            host_functions=host_module.PYTHON_FUNCTIONS,
            cells_bytes=host_module.CELLS_BYTES,
        )
        merged = _merge(linked, folder)
        engine = wasmtime.Engine()
        interpreter = Interpreter(engine, wasmtime.Module(engine, merged), linked, found, MEMORY_BYTES)
        interpreter.start()
        interpreter.warm_up(_PRACTICE.read_text(), _PRACTICE_ROUNDS, _PRACTICE_CALLS)
        memory = interpreter.finish()
        others = {export.name for export in Module(merged).exports} - EXPORTS
        started, output = folder / "started.wasm", folder / "engine.wasm"
        started.write_bytes(with_state(merged, memory, {}, others))
        binaryen.optimize(started, output)
        built: bytes = output.read_bytes()
    _check(built)
    return built


def _merge(linked: linker.Linked, folder: Path) -> bytes:
    """Return the libraries, the linker's module and that of the host as one module."""
    host = host_module.host_module(linked.undefined, linked.symbols, linked.cells)
    modules = {
        linker.LINK: bytes(wasmtime.wat2wasm(linked.link_text)),
        linker.HOST: bytes(wasmtime.wat2wasm(host)),
        **linked.modules,
    }
    files = []
    for name, binary in modules.items():
        file = folder / f"{name}.wasm"
        file.write_bytes(binary)
        files.append((name, file))
    output = folder / "merged.wasm"
    binaryen.merge(files, output)
    return output.read_bytes()


def _check(engine: bytes) -> None:
    """Raise ValueError unless the memory and the exported globals are the whole state of an instance."""
    module = Module(engine)
    exported = {(export.kind, export.index) for export in module.exports}
    if missing := EXPORTS - {export.name for export in module.exports}:
        raise ValueError(f"the engine lacks the exports {sorted(missing)}")
    if unexpected := [item for item in module.imports if (item.module, item.kind) != ("env", FUNCTION_KIND)]:
        raise ValueError(f"the engine imports what is not a function of env: {unexpected}")
    for number, found in enumerate(module.globals):
        if found.mutable and (GLOBAL_KIND, number) not in exported:
            raise ValueError(f"the mutable global {number} is not exported")


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(build())
