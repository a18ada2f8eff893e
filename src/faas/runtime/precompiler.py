"""Modules become native code in a confined process: hostile ones cost minutes and gigabytes, and there they end.

Run as a program, this file is that process: it imports nothing of faas, only wasmtime. The server imports
`configuration`, on which both sides must agree to the letter; wasmtime refuses native code of another one.
"""

import struct
import sys
from typing import BinaryIO

import wasmtime

# The first byte of an answer.
COMPILED, REFUSED = b"C", b"R"


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
    return config


def serve(stack: int, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer each frame, a module, with its native code or why it has none. A first, empty answer says ready."""
    engine = wasmtime.Engine(configuration(stack))
    content = b""
    while True:
        answers.write(struct.pack(">I", len(content)) + content)
        answers.flush()
        length = requests.read(4)
        if len(length) < 4:
            return
        try:
            module = wasmtime.Module(engine, requests.read(*struct.unpack(">I", length)))
            content = COMPILED + bytes(module.serialize())
        except wasmtime.WasmtimeError as error:
            content = REFUSED + " ".join(str(error).split()).encode()


if __name__ == "__main__":
    serve(int(sys.argv[-1]), sys.stdin.buffer, sys.stdout.buffer)
