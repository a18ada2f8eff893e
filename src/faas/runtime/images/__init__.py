"""Image modules: a function as the difference between its engine's memory and a snapshot of it.

An image module is a valid WebAssembly module without code. It has exactly these sections, in this order:

- a memory section: one memory whose minimum is the number of pages at the snapshot, without a maximum;
- a data section: active segments of memory 0, ascending, neither empty nor touching, which are the difference between
  the engine's memory after instantiation and the snapshot;
- the custom section `faas.engine`: the SHA-256 digest of the engine module, 32 bytes;
- the custom section `faas.globals`: a JSON object of the engine's exported mutable globals at the snapshot, from name
  to value in decimal text, unsigned, sorted by name, without whitespace;
- the custom section `faas.contract`: the contract of the function: `json`, `lambda` or `fetch`.

Each number is encoded in as few bytes as possible, so an image has exactly one encoding. `parse` accepts nothing else:
what it returns, `build` turns into the same bytes.

Image modules come from hostile places: a compiler of another installation may answer one. What an image can do is
bounded by its engine, which runs in the sandbox of every guest whatever its memory contains. A module that an author
uploads must not be an image (`carries_engine`): the languages `wasm` and `wat` refuse it, and a compilation result is
refused for every language that has no engine.
"""

from faas.runtime.images.difference import PAGE_BYTES, difference
from faas.runtime.images.image import WASM_PAGE_BYTES, Contract, Image, ImageError, Segment
from faas.runtime.images.image_module import build, carries_engine, engine_of, initial_memory_bytes, parse

__all__ = [
    "PAGE_BYTES", "WASM_PAGE_BYTES", "Contract", "Image", "ImageError", "Segment", "build", "carries_engine",
    "difference", "engine_of", "initial_memory_bytes", "parse",
]  # fmt: skip
