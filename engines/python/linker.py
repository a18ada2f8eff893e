"""Links the shared libraries: gives each its place in memory and table, and answers its imports.

The result is a set of modules, each with its imports renamed to the module that answers them, for Binaryen's
wasm-merge. `link` is a module of this linker's own with the memory, the table, the stack pointer and the addresses
(`GOT`) that the libraries ask for. What no library defines is answered by the module `host` (host_module.py).
"""

from collections.abc import Iterable

import msgspec

from engines.python.distribution import SharedLibrary
from engines.python.wasm_binary import FUNCTION_KIND, Export, Import, Module

LINK, HOST = "link", "host"
# Functions that prepare a library. They are exported with its name in front.
DATA_RELOCATIONS, CONSTRUCTORS = "__wasm_apply_data_relocs", "_initialize"

WASM_PAGE_BYTES = 64 << 10
_STACK_START = 1024  # addresses below stay unused, so that a null pointer hits nothing
# CPython raises RecursionError when it comes near the end of this stack, which holds the part of each C frame whose
# address is taken. It must end before wasm's own stack does (FAAS_STACK_LIMIT), where a guest traps. It is below the
# data, so that an overflow would leave the memory at its lower end, and trap.
_STACK_BYTES = 512 << 10
_MEMORY_BASE, _TABLE_BASE = "__memory_base", "__table_base"
_HOST_FUNCTION_TYPE = "(param i32 i32 i32) (result i32)"


class Linked(msgspec.Struct, frozen=True):
    """The modules to merge, by name, and `link` as text.

    undefined: the functions that `host` must define, with their types as text. symbols: the addresses of data. cells:
    the address of the memory that `host` uses. slots: the places of functions in the table.
    """

    modules: dict[str, bytes]
    link_text: str
    undefined: dict[str, str]
    symbols: dict[str, int]
    cells: int
    slots: dict[str, int]


def link(
    libraries: list[SharedLibrary], *, memory_bytes: int, host_functions: Iterable[str], cells_bytes: int
) -> Linked:
    """Link `libraries` into a memory of `memory_bytes`.

    `host_functions` are functions of the module `host` that get a place in the table, and `cells_bytes` is the memory
    that it uses.
    """
    layout = _Layout(libraries, memory_bytes, cells_bytes)
    functions = {
        name: library
        for library in reversed(list(layout.modules))
        for name in layout.modules[library].function_exports
        if name not in {DATA_RELOCATIONS, CONSTRUCTORS}
    }
    undefined: dict[str, str] = {}
    taken: dict[str, str] = {}  # function whose address a library asks for → its type
    no_address: set[str] = set()
    data: set[str] = set()
    modules: dict[str, bytes] = {}
    for name, module in layout.modules.items():
        imports = []
        for wanted in module.imports:
            provider, title = LINK, wanted.name
            if wanted.kind == FUNCTION_KIND:
                title = wanted.name if wanted.module == "env" else f"{wanted.module}#{wanted.name}"
                provider = functions.get(title, HOST)
                if provider == HOST:
                    undefined[title] = module.signature_of(wanted)
            elif wanted.name in {_MEMORY_BASE, _TABLE_BASE}:
                title = f"{name}{wanted.name}"
            elif wanted.module == "GOT.func":
                title = f"GOT.func.{wanted.name}"
                if provider_of_it := functions.get(wanted.name):
                    definition = layout.modules[provider_of_it]
                    taken[wanted.name] = definition.signature(definition.function_exports[wanted.name])
                else:
                    no_address.add(wanted.name)
            elif wanted.module == "GOT.mem":
                title = f"GOT.mem.{wanted.name}"
                data.add(wanted.name)
            imports.append(Import(provider, title, wanted.kind, wanted.type))
        modules[name] = module.rewritten(imports, _exports(name, module))
    taken |= dict.fromkeys(host_functions, _HOST_FUNCTION_TYPE)
    slots = {name: layout.free_slot + number for number, name in enumerate(taken)}
    text = _link_module(layout, functions, taken, slots | dict.fromkeys(no_address, 0), data)
    return Linked(modules, text, undefined, layout.symbols, layout.cells, slots)


class _Layout:
    """Where the libraries are in memory and table, and the addresses of their data."""

    def __init__(self, libraries: list[SharedLibrary], memory_bytes: int, cells_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        self.stack_end = self.cells = _aligned(_STACK_START + _STACK_BYTES, 16)
        self.modules: dict[str, Module] = {}
        self.bases: dict[str, dict[str, int]] = {}
        self.symbols: dict[str, int] = {}
        address, slot = self.cells + cells_bytes, 1  # slot 0 is the null function
        for library in libraries:
            address = _aligned(address, library.memory_alignment)
            slot = _aligned(slot, library.table_alignment)
            self.bases[library.name] = bases = {_MEMORY_BASE: address, _TABLE_BASE: slot}
            self.modules[library.name] = module = Module(library.binary, bases)
            for symbol, offset in module.data_symbols.items():
                self.symbols.setdefault(symbol, address + offset)
            address += library.memory_size
            slot += library.table_size
        self.free_slot = slot
        heap = _aligned(address, WASM_PAGE_BYTES)
        if heap >= memory_bytes:
            raise ValueError(f"the data ends at {heap}, past the memory of {memory_bytes} bytes")
        self.symbols |= {
            "__stack_low": _STACK_START,
            "__stack_high": self.stack_end,
            "__heap_base": heap,
            "__heap_end": memory_bytes,
        }


def _exports(name: str, module: Module) -> list[Export]:
    """Return the functions that a library exports."""
    return [
        Export(f"{name}.{function}" if function in {DATA_RELOCATIONS, CONSTRUCTORS} else function, FUNCTION_KIND, index)
        for function, index in module.function_exports.items()
    ]


def _link_module(
    layout: _Layout, functions: dict[str, str], taken: dict[str, str], slots: dict[str, int], data: set[str]
) -> str:
    """Return the module `link` as text."""
    pages, size = layout.memory_bytes // WASM_PAGE_BYTES, layout.free_slot + len(taken)
    lines = [
        "(module",
        *(f'(import "{functions.get(name, HOST)}" "{name}" (func ${name} {taken[name]}))' for name in taken),
        f'(memory (export "memory") {pages})',
        f'(table (export "__indirect_function_table") {size} {size} funcref)',
        f'(global (export "__stack_pointer") (mut i32) (i32.const {layout.stack_end}))',
        *(
            f'(global (export "{library}{base}") i32 (i32.const {value}))'
            for library, bases in layout.bases.items()
            for base, value in bases.items()
        ),
        *(f'(global (export "GOT.func.{name}") (mut i32) (i32.const {slot}))' for name, slot in sorted(slots.items())),
        *(
            f'(global (export "GOT.mem.{name}") (mut i32) (i32.const {layout.symbols.get(name, 0)}))'
            for name in sorted(data)
        ),
        f"(elem (i32.const {layout.free_slot}) {' '.join(f'${name}' for name in taken)}))",
    ]
    return "\n".join(lines)


def _aligned(value: int, alignment: int) -> int:
    return (value + alignment - 1) // alignment * alignment
