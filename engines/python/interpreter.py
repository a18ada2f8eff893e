"""Starts CPython in the linked module, loads the library and the engine's own modules into it, and warms it up.

Everything that it sees is fixed, the clock, the randomness and the seed of hashes too: the same inputs give the same
memory.
"""

import json
import marshal
import struct
import sys
from pathlib import Path
from typing import Any

import wasmtime

from engines.python import host_module, linker
from engines.python.distribution import Distribution

GUEST = Path(__file__).parent / "guest"
_PACKAGE, _PUBLIC_PACKAGE = "_faas", "faas"  # of the engine's own modules, and of those for functions
_FILE_INPUT = 257
_MARSHAL_VERSION, _MARSHAL_VERSION_FOR_ALL = 5, 2
_ERROR_LEVEL = 4  # of a line of the log
_METH_FASTCALL = 0x80
_READ_ONLY = 0x100  # PyBUF_READ
# What the interpreter needs before it can import anything.
_FROZEN = {
    "encodings": "encodings/__init__.py",
    "encodings.aliases": "encodings/aliases.py",
    "encodings.utf_8": "encodings/utf_8.py",
}
_CONFIGURATION = {
    "isolated": 1,
    "use_environment": 0,
    "use_hash_seed": 1,
    "hash_seed": 0,
    "utf8_mode": 1,
    "site_import": 0,
    "user_site_directory": 0,
    "write_bytecode": 0,
    "install_signal_handlers": 0,
    "pathconfig_warnings": 0,
    "configure_c_stdio": 0,
    "parse_argv": 0,
}
_PRACTICE_INPUT = {
    "name": "you",
    "mail": "me@example.org",
    "list": [1, 2.5, None, True, {"a": "b"}],
    "text": "\u00e9\u4e16",
}
_PATHS = (
    "home",
    "prefix",
    "exec_prefix",
    "base_prefix",
    "base_exec_prefix",
    "stdlib_dir",
    "executable",
    "program_name",
)
# 32-bit CPython 3.14: the reference count of an immortal object, and the least one that counts as immortal.
_IMMORTAL, _LEAST_IMMORTAL = 5 << 28, 1 << 30
_BOOTSTRAP = """
import sys, _faas_host
class Errors:
    def write(self, text): _faas_host.log(4, text)
    def flush(self): pass
sys.stderr = Errors()
from _frozen_importlib import ModuleSpec
class Sources:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in _faas_host.index:
            return ModuleSpec(name, Sources, origin="frozen", is_package=_faas_host.index[name][2])
    @staticmethod
    def create_module(spec): return None
    @staticmethod
    def exec_module(module):
        start, length, _ = _faas_host.index[module.__name__]
        source = bytes(_faas_host.sources[start : start + length])
        name = f"<frozen {module.__name__}>"
        exec(compile(source, name, "exec", dont_inherit=True, optimize=2), module.__dict__)
sys.meta_path[:] = [finder for finder in sys.meta_path if finder.__name__ != "PathFinder"] + [Sources]
import gc
gc.disable()
from _faas import library
library._sources, library._index = _faas_host.sources, _faas_host.index
sys.meta_path[-1] = library.Sources
from _faas import start
start.prepare(_faas_host.zones)
"""


class Interpreter:
    """An instance of the linked module `merged` in which CPython runs.

    `symbols` are the addresses of its data, `cells` and `slots` are the linker's. `memory_bytes` is the memory that the
    engine has; what the build itself needs is above it.
    """

    def __init__(
        self,
        engine: wasmtime.Engine,
        module: wasmtime.Module,
        linked: linker.Linked,
        distribution: Distribution,
        memory_bytes: int,
    ) -> None:
        self._linked = linked
        self._distribution = distribution
        self._memory_bytes = memory_bytes
        self._store = wasmtime.Store(engine)
        instance = _linker(engine).instantiate(self._store, module)
        self._exports = instance.exports(self._store)
        self._memory: Any = self._exports["memory"]
        for function in (linker.DATA_RELOCATIONS, linker.CONSTRUCTORS):
            for library in distribution.libraries:
                if f"{library.name}.{function}" in self._exports:
                    self._call(f"{library.name}.{function}")
        self._cell = self._call("malloc", 16)

    def start(self) -> None:
        """Start CPython, load the library, and make the entry points known to the module `host`."""
        self._start_core()
        self._add_host_module()
        self._run(_BOOTSTRAP)
        start = self._call("PyImport_ImportModule", self._text("_faas.engine"))
        for cell, name in (
            (host_module.COMPILE_CELL, "compile_source"),
            (host_module.LOAD_CELL, "load"),
            (host_module.HANDLE_CELL, "handle"),
        ):
            function = self._object(self._call("PyObject_GetAttrString", start, self._text(name)))
            self._write(self._linked.cells + cell, struct.pack("<I", function))

    def warm_up(self, practice: str, rounds: int, calls: int) -> None:
        """Compile and load `practice`, and call it with numbered inputs, as a server does."""
        for _ in range(rounds):
            code = self._ask("compile", b"", practice.encode(), expect_bytes=True)
            self._ask("load", code, b"", expect_bytes=False)
            for number in range(calls):
                document = _PRACTICE_INPUT | {"number": number}
                self._ask("handle", b"", json.dumps(document).encode(), expect_bytes=False)

    def finish(self) -> bytes:
        """Make what is loaded immortal, settle the heap, and return the memory. Call nothing afterwards."""
        self._run("from _faas import start; start.forget_practice()")
        self._run("import _faas_host; from _faas import heap; _faas_host.addresses = heap.library_objects()")
        memory = self._read(0, self._memory_bytes)
        for (address,) in struct.iter_unpack("<I", self._attribute_bytes("_faas_host", "addresses")):
            if 0 < int.from_bytes(memory[address : address + 4], "little") < _LEAST_IMMORTAL:
                self._write(address, struct.pack("<I", _IMMORTAL))
        self._run("import _faas_host; del _faas_host.addresses, _faas_host.sources, _faas_host.index, _faas_host.zones")
        self._run("from _faas import start; start.finish()")
        if self._memory.data_len(self._store) != self._full_bytes:
            raise RuntimeError(f"the memory has grown: {self._memory_bytes} bytes are not enough")
        return self._read(0, self._memory_bytes)

    def _start_core(self) -> None:
        configuration = self._call("PyInitConfig_Create")

        def set_integer(name: str, value: int) -> None:
            self._check(configuration, self._call("PyInitConfig_SetInt", configuration, self._text(name), value))

        for name, value in _CONFIGURATION.items():
            set_integer(name, value)
        for name in _PATHS:
            result = self._call("PyInitConfig_SetStr", configuration, self._text(name), self._text("/"))
            self._check(configuration, result)
        paths = self._call("PyInitConfig_SetStrList", configuration, self._text("module_search_paths"), 0, 0)
        self._check(configuration, paths)
        # In two steps: the core can compile, and the rest needs modules that only it can compile.
        set_integer("_init_main", 0)
        self._check(configuration, self._call("Py_InitializeFromInitConfig", configuration))
        table = b"".join(self._frozen(name, path) for name, path in _FROZEN.items()) + bytes(16)
        self._write(self._linked.symbols["PyImport_FrozenModules"], struct.pack("<I", self._new(table)))
        set_integer("_init_main", 1)
        self._check(configuration, self._call("Py_InitializeFromInitConfig", configuration))
        self._call("PyInitConfig_Free", configuration)

    def _frozen(self, name: str, path: str) -> bytes:
        """Compile a module of the library; return its `struct _frozen`."""
        source = self._text(self._distribution.standard_library[path].decode())
        code = self._object(self._call("Py_CompileString", source, self._text(f"<frozen {name}>"), _FILE_INPUT))
        encoded = self._bytes(self._call("PyMarshal_WriteObjectToString", code, _MARSHAL_VERSION))
        package = int(path.endswith("__init__.py"))
        return struct.pack("<IIii", self._text(name), self._new(encoded), len(encoded), package)

    def _add_host_module(self) -> None:
        """Add the module _faas_host: the functions of the host, and while the engine is built, the sources."""
        module = self._object(self._call("PyImport_AddModuleRef", self._text("_faas_host")))
        for function in host_module.PYTHON_FUNCTIONS:
            name = function.removeprefix("python_")
            slot = self._linked.slots[function]
            definition = self._new(struct.pack("<IIiI", self._text(name), slot, _METH_FASTCALL, 0))
            made = self._object(self._call("PyCMethod_New", definition, 0, 0, 0))
            self._call("PyModule_AddObjectRef", module, self._text(name), made)
        sources, index = self._sources()
        start = self._memory_bytes
        self._memory.grow(self._store, -(-len(sources) // linker.WASM_PAGE_BYTES))
        self._full_bytes = self._memory.data_len(self._store)
        self._write(start, sources)
        view = self._object(self._call("PyMemoryView_FromMemory", start, len(sources), _READ_ONLY))
        self._call("PyModule_AddObjectRef", module, self._text("sources"), view)
        for name, value in (("index", index), ("zones", self._distribution.zones)):
            encoded = marshal.dumps(value, _MARSHAL_VERSION_FOR_ALL)
            decoded = self._call("PyMarshal_ReadObjectFromString", self._new(encoded), len(encoded))
            self._call("PyModule_AddObjectRef", module, self._text(name), self._object(decoded))

    def _sources(self) -> tuple[bytes, dict[str, tuple[int, int, bool]]]:
        """Return all Python files in one, and for each module its start, its length and whether it is a package."""
        files = {path: content for path, content in self._distribution.standard_library.items() if path.endswith(".py")}
        for parent, folder in ((_PACKAGE, GUEST), (_PUBLIC_PACKAGE, GUEST / "public")):
            files |= {f"{parent}/{file.name}": file.read_bytes() for file in sorted(folder.glob("*.py"))}
        sources = bytearray()
        index = {}
        for path, content in sorted(files.items()):
            parts = path.removesuffix(".py").split("/")
            package = parts[-1] == "__init__"
            index[".".join(parts[:-1] if package else parts)] = (len(sources), len(content), package)
            sources += content
        return bytes(sources), index

    def _ask(self, function: str, part: bytes, text: bytes, *, expect_bytes: bool) -> bytes:
        """Call an entry point. Raises RuntimeError when it fails."""
        header = bytes(host_module.HEADER_BYTES - 4) + struct.pack("<I", len(part))
        request = header + part + text
        address = self._call("alloc", len(request))
        self._write(address, request)
        packed = self._call(function, address, len(request)) & (1 << 64) - 1
        length = packed & 0x7FFF_FFFF
        answer = self._read(packed >> 32, length)
        if bool(packed & 0x8000_0000) != expect_bytes:
            raise RuntimeError(f"{function}: {answer.decode()}")
        return answer

    def _run(self, source: str) -> None:
        if self._call("PyRun_SimpleStringFlags", self._text(source), 0):
            raise RuntimeError(f"failed in the engine (see above): {source.strip().splitlines()[-1]}")

    def _check(self, configuration: int, result: int) -> None:
        if result:
            self._call("PyInitConfig_GetError", configuration, self._cell)
            (message,) = struct.unpack("<I", self._read(self._cell, 4))
            raise RuntimeError(f"CPython does not start: {self._read(message, 500).partition(bytes(1))[0].decode()}")

    def _object(self, address: int) -> int:
        """Return the address of an object, or raise RuntimeError where there is none."""
        if not address:
            self._call("PyErr_Print")
            raise RuntimeError("an exception in the engine")
        return address

    def _bytes(self, address: int) -> bytes:
        self._call("PyBytes_AsStringAndSize", self._object(address), self._cell, self._cell + 4)
        start, length = struct.unpack("<II", self._read(self._cell, 8))
        return self._read(start, length)

    def _attribute_bytes(self, module: str, name: str) -> bytes:
        imported = self._object(self._call("PyImport_AddModuleRef", self._text(module)))
        return self._bytes(self._call("PyObject_GetAttrString", imported, self._text(name)))

    def _text(self, text: str) -> int:
        return self._new(text.encode() + b"\0")

    def _new(self, content: bytes) -> int:
        address = self._call("malloc", len(content))
        self._write(address, content)
        return address

    def _call(self, name: str, *arguments: int) -> int:
        function: Any = self._exports[name]
        result = function(self._store, *arguments)
        return int(result) & ((1 << 64) - 1 if name in host_module.ENTRY_POINTS[1:] else 0xFFFF_FFFF) if result else 0

    def _read(self, start: int, size: int) -> bytes:
        return bytes(self._memory.read(self._store, start, start + size))

    def _write(self, start: int, content: bytes) -> None:
        self._memory.write(self._store, content, start)


def _linker(engine: wasmtime.Engine) -> wasmtime.Linker:
    """Return the host of the build: a fixed clock, no randomness, and a log that is shown."""
    made = wasmtime.Linker(engine)
    i32, f64 = wasmtime.ValType.i32(), wasmtime.ValType.f64()

    def log(caller: Any, level: int, address: int, length: int) -> None:
        if level == _ERROR_LEVEL:
            text = bytes(caller["memory"].read(caller, address, address + length))
            sys.stderr.write(text.decode(errors="replace") + "\n")

    def define(name: str, parameters: list[Any], results: list[Any], function: Any) -> None:
        made.define_func("env", name, wasmtime.FuncType(parameters, results), function, access_caller=True)

    define("log", [i32, i32, i32], [], log)
    define("now", [], [f64], lambda _caller: 0.0)
    define("elapsed", [], [f64], lambda _caller: 0.0)
    define("remaining", [], [f64], lambda _caller: 0.0)
    define("random", [i32, i32], [], lambda _caller, _address, _length: None)
    define("sleep", [f64], [i32], lambda _caller, _milliseconds: 1)
    define("request", [i32, i32], [i32], lambda _caller, _address, _length: -1)
    define("response_size", [i32], [i32], lambda _caller, _number: -1)
    define("response_read", [i32, i32], [], lambda _caller, _number, _address: None)
    return made
