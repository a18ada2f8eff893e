"""An engine module written by hand, and images of it."""

import hashlib
from collections.abc import Mapping
from functools import cache

from faas.engines import Engine, EngineCatalogue, EngineName
from faas.runtime.images import PAGE_BYTES, WASM_PAGE_BYTES, Contract, Image, build, difference
from faas.runtime.images.binary_format import CUSTOM, encode_name, write_section
from tests.helpers.support import wat

ENGINE_PAGES = 4
STATE, GREETING = 5000, 100_000  # addresses

# The core convention. The second byte of the input, a JSON string, selects what `handle` does; it always counts its
# calls in the memory at STATE and in both globals first.
#   e  returns the input
#   c  returns the count in memory: "1" in an instance that was not called before
#   s  returns the count in the global `sp`, i the one in `steps`
#   m  returns the JSON document at GREETING, which an image sets
#   w  overwrites 40 pages of the memory, those of GREETING with zeros
#   p  writes to every page of the memory, o to every fourth one
#   r  reads from every page of the memory
#   g  adds a page to the memory
#   t  overwrites memory, then traps
#   l  overwrites memory, then loops without end
ENGINE_WAT = r"""(module
  (memory (export "memory") 4 2000)
  (global $sp (export "sp") (mut i32) (i32.const 48))
  (global $steps (export "steps") (mut i64) (i64.const 48))
  (data (i32.const 16) "engine data") (data (i32.const 90000) "more of it")
  (func (export "alloc") (param i32) (result i32) (i32.const 131072))
  (func $packed (param i32 i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1))))
  (func $overwrite
    (memory.fill (i32.const 8192) (i32.const 255) (i32.const 81920))
    (memory.fill (i32.const 98304) (i32.const 0) (i32.const 8192))
    (memory.fill (i32.const 200000) (i32.const 7) (i32.const 61440)))
  (func (export "handle") (param $input i32) (param $length i32) (result i64)
    (local $command i32) (local $address i32)
    (local.set $command (i32.load8_u offset=1 (local.get $input)))
    (i32.store8 (i32.const 5000) (i32.add (i32.const 1) (i32.load8_u (i32.const 5000))))
    (global.set $sp (i32.add (global.get $sp) (i32.const 1)))
    (global.set $steps (i64.add (global.get $steps) (i64.const 1)))
    (if (i32.eq (local.get $command) (i32.const 99))  ;; c
      (then (i32.store8 (i32.const 6000) (i32.add (i32.const 48) (i32.load8_u (i32.const 5000))))
        (return (call $packed (i32.const 6000) (i32.const 1)))))
    (if (i32.eq (local.get $command) (i32.const 115))  ;; s
      (then (i32.store8 (i32.const 6000) (global.get $sp)) (return (call $packed (i32.const 6000) (i32.const 1)))))
    (if (i32.eq (local.get $command) (i32.const 105))  ;; i
      (then (i64.store8 (i32.const 6000) (global.get $steps)) (return (call $packed (i32.const 6000) (i32.const 1)))))
    (if (i32.eq (local.get $command) (i32.const 109))  ;; m
      (then (return (call $packed (i32.const 100001) (i32.load8_u (i32.const 100000))))))
    (if (i32.eq (local.get $command) (i32.const 119)) (then (call $overwrite)))  ;; w
    (if (i32.eq (local.get $command) (i32.const 112))  ;; p
      (then (loop $pages
        (i32.store8 offset=77 (local.get $address) (i32.const 3))
        (br_if $pages (i32.lt_u (local.tee $address (i32.add (local.get $address) (i32.const 4096)))
          (i32.shl (memory.size) (i32.const 16)))))))
    (if (i32.eq (local.get $command) (i32.const 111))  ;; o
      (then (loop $pages
        (i32.store8 offset=77 (local.get $address) (i32.const 3))
        (br_if $pages (i32.lt_u (local.tee $address (i32.add (local.get $address) (i32.const 16384)))
          (i32.shl (memory.size) (i32.const 16)))))))
    (if (i32.eq (local.get $command) (i32.const 114))  ;; r
      (then (loop $pages
        (drop (i32.load8_u offset=77 (local.get $address)))
        (br_if $pages (i32.lt_u (local.tee $address (i32.add (local.get $address) (i32.const 4096)))
          (i32.shl (memory.size) (i32.const 16)))))))
    (if (i32.eq (local.get $command) (i32.const 103)) (then (drop (memory.grow (i32.const 1)))))  ;; g
    (if (i32.eq (local.get $command) (i32.const 116)) (then (call $overwrite) (unreachable)))  ;; t
    (if (i32.eq (local.get $command) (i32.const 108)) (then (call $overwrite) (loop $ever (br $ever))))  ;; l
    (call $packed (local.get $input) (local.get $length))))"""


@cache
def engine_binary(version: int = 1) -> bytes:
    """The engine module. Its versions differ in a custom section, so in their digest and nothing else."""
    return wat(ENGINE_WAT) + write_section(CUSTOM, encode_name("version") + bytes((version,)))


def engine_digest(version: int = 1) -> bytes:
    """The digest of the engine module."""
    return hashlib.sha256(engine_binary(version)).digest()


async def load_engine(digest: bytes) -> bytes | None:
    """A LoadEngine that knows the engine above."""
    return engine_binary() if digest == engine_digest() else None


def engine_memory() -> bytearray:
    """Return the memory of an instance of the engine before it is called."""
    memory = bytearray(ENGINE_PAGES * WASM_PAGE_BYTES)
    memory[16:27] = b"engine data"
    memory[90_000:90_010] = b"more of it"
    return memory


def pages_of(memory: bytes | bytearray) -> dict[int, bytes]:
    """Return all pages of a memory by address."""
    return {start: bytes(memory[start : start + PAGE_BYTES]) for start in range(0, len(memory), PAGE_BYTES)}


def image_of(
    greeting: bytes,
    *,
    pages: int = ENGINE_PAGES,
    writes: Mapping[int, bytes] | None = None,
    global_values: Mapping[str, int] | None = None,
    contract: Contract = "json",
    version: int = 1,
) -> bytes:
    """Return the image module of a function that greets with the JSON document `greeting`."""
    memory = engine_memory() + bytes((pages - ENGINE_PAGES) * WASM_PAGE_BYTES)
    memory[GREETING] = len(greeting)
    memory[GREETING + 1 : GREETING + 1 + len(greeting)] = greeting
    for address, data in (writes or {}).items():
        memory[address : address + len(data)] = data
    return build(
        Image(
            engine=engine_digest(version),
            pages=pages,
            segments=difference(bytes(engine_memory()), pages_of(memory)),
            globals=global_values or {"sp": 48, "steps": 48},
            contract=contract,
        )
    )


class InstalledCatalogue(EngineCatalogue):
    """The catalogue of an installation that has one engine, and cannot build others."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine

    def find(self, name: EngineName) -> Engine | None:
        """Return the engine if it is the one of this installation."""
        return self.engine if name == self.engine.name else None

    async def load(self, digest: bytes) -> bytes | None:
        """Return the engine if it is the one of this installation."""
        return self.engine.binary if digest == self.engine.digest else None
