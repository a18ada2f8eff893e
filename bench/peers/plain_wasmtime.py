"""One call of an AssemblyScript module by wasmtime-py's documented API: a new store and instance for each call.

python -m bench.peers.plain_wasmtime MODULE INPUT EXPECTED CALLS
"""

import struct
import sys
from pathlib import Path
from typing import Any

from wasmtime import Engine, Func, Linker, Memory, Module, Store

from bench.peers.timing import report

_STRING = 2  # AssemblyScript's class id of strings


def main(file: str, document: str, expected: str, calls: int) -> None:
    """Compile and link once, and report the duration of calls."""
    engine = Engine()
    module = Module(engine, Path(file).read_bytes())
    linker = Linker(engine)
    for wanted in module.imports:
        kind: Any = wanted.type
        answer = 0.0 if kind.results else None
        linker.define_func(wanted.module, str(wanted.name), kind, lambda *_, answer=answer: answer)

    def call() -> bytes:
        store = Store(engine)
        exports: Any = linker.instantiate(store, module).exports(store)
        memory: Memory = exports["memory"]
        if isinstance(initialize := exports.get("_initialize"), Func):
            initialize(store)
        text = document.encode("utf-16-le")
        pointer = exports["__new"](store, len(text), _STRING)
        memory.write(store, text, pointer)
        exports["__pin"](store, pointer)
        answer = exports["handle"](store, pointer)
        (size,) = struct.unpack("<I", memory.read(store, answer - 4, answer))
        return bytes(memory.read(store, answer, answer + size)).decode("utf-16-le").encode()

    report(call, expected.encode(), calls)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
