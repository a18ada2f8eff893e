"""Modules become native code in a confined process: hostile ones cost minutes and gigabytes, and there they end.

The text format becomes modules there too: a source of 1 MiB can keep its parser busy for half a minute.

Run as a program, this file is that process: it imports nothing of faas, only wasmtime. The server imports
`configuration`, on which both sides must agree to the letter; wasmtime refuses native code of another one.
"""

import struct
import sys
from typing import BinaryIO

import wasmtime
from wasmtime import _bindings

# The first byte of a request, and of an answer.
MODULE, TEXT = b"M", b"T"
DONE, REFUSED = b"D", b"R"

_MAGIC = b"\0asm"


def configuration(stack: int) -> wasmtime.Config:
    """The engine's configuration for guests with a call stack of `stack` bytes.

    What no toolchain of ours emits is off: less to attack. One memory and no garbage-collected heap, so that the memory
    limit is the whole of it.
    """
    config = wasmtime.Config()
    config.epoch_interruption = True
    config.max_wasm_stack = stack
    config.cranelift_opt_level = "speed"
    config.wasm_threads = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    config.wasm_gc = False
    config.wasm_exceptions = False
    config.wasm_component_model = False
    # An instance's first memory is copied into it. Mapped copy-on-write, each page that is touched is a fault, and each
    # end gives the pages back: for a function's 20 KiB that costs twice the whole call.
    _bindings.wasmtime_config_memory_init_cow_set(config.ptr(), False)
    return config


def serve(stack: int, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer each frame: a module with its native code, a text with its module, either with why there is none.

    A first, empty answer says ready.
    """
    engine = wasmtime.Engine(configuration(stack))
    content = b""
    while True:
        answers.write(struct.pack(">I", len(content)) + content)
        answers.flush()
        length = requests.read(4)
        if len(length) < 4:
            return
        request = requests.read(*struct.unpack(">I", length))
        kind, source = request[:1], request[1:]
        try:
            content = DONE + (bytes(wasmtime.wat2wasm(source)) if kind == TEXT else _translate(engine, source))
        except wasmtime.WasmtimeError as error:
            content = REFUSED + str(error).encode()


def _translate(engine: wasmtime.Engine, module: bytes) -> bytes:
    if not module.startswith(_MAGIC):  # wasmtime-py would take it for the text format
        raise wasmtime.WasmtimeError("it does not begin with the bytes of a module, \\0asm")
    return bytes(wasmtime.Module(engine, module).serialize())


if __name__ == "__main__":
    serve(int(sys.argv[-1]), sys.stdin.buffer, sys.stdout.buffer)
