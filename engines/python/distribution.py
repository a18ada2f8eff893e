"""CPython for WASI, unpacked: its shared libraries, its standard library, and time zones."""

import subprocess
from pathlib import Path

import msgspec

from engines.python.wasm_binary import Module, Reader

_UNPACK = Path(__file__).with_name("unpack.py")
_DYLINK = "dylink.0"
_MEMORY_INFO = 1
# What CPython needs, by a symbol that only that library defines, in the order in which they are linked.
_LIBRARY_MARKERS = {
    "libc": "__wasilibc_find_relpath_alloc",
    "signal": "__SIG_IGN",
    "getpid": "getpid",
    "clocks": "clock",
    "python": "Py_InitializeFromInitConfig",
}


class SharedLibrary(msgspec.Struct, frozen=True):
    """A WebAssembly module made for dynamic linking, with the sizes and alignments in bytes that it needs.

    https://github.com/WebAssembly/tool-conventions/blob/main/DynamicLinking.md
    """

    name: str
    binary: bytes
    memory_size: int
    memory_alignment: int
    table_size: int
    table_alignment: int


class Distribution(msgspec.Struct, frozen=True):
    """The shared libraries in their order of linking, and the files of the standard library and of zones by path."""

    libraries: list[SharedLibrary]
    standard_library: dict[str, bytes]
    zones: dict[str, bytes]


def unpack(python: Path, folder: Path) -> Distribution:
    """Unpack the distribution to `folder` with the packages of `python`. Raises ValueError when a part is missing."""
    unpacked = subprocess.run(
        [str(python), "-I", str(_UNPACK), str(folder)], check=False, stderr=subprocess.PIPE, text=True
    )
    if unpacked.returncode:
        raise ValueError(f"{_UNPACK.name} failed: {unpacked.stderr.strip()}")
    found: dict[str, SharedLibrary] = {}
    for file in sorted(folder.glob("*.wasm")):
        library = _library(file.read_bytes())
        if library:
            found.setdefault(library.name, library)
    if missing := [name for name in _LIBRARY_MARKERS if name not in found]:
        raise ValueError(f"componentize-py carries no library for: {', '.join(missing)}")
    return Distribution(
        [found[name] for name in _LIBRARY_MARKERS], _files(folder / "library"), _files(folder / "zones")
    )


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _library(binary: bytes) -> SharedLibrary | None:
    """Return the library that `binary` is, or None where CPython does not need it."""
    module = Module(binary, {"__memory_base": 0, "__table_base": 0})
    content = module.custom_section(_DYLINK)
    name = next((name for name, marker in _LIBRARY_MARKERS.items() if marker in module.function_exports), None)
    if content is None or name is None:
        return None
    reader = Reader(content)
    while not reader.at_end:
        kind, size = reader.byte(), reader.u32()
        if kind == _MEMORY_INFO:
            memory_size, memory_alignment, table_size, table_alignment = (reader.u32() for _ in range(4))
            return SharedLibrary(name, binary, memory_size, 1 << memory_alignment, table_size, 1 << table_alignment)
        reader.take(size)
    return None
