"""The precompiler's worker process: WebAssembly to native code by Cranelift, and the text format to WebAssembly.

Both run in a confined process, because a hostile module costs Cranelift minutes and gigabytes, and a text of 1 MiB can
keep the parser busy for half a minute.

As a program, this file is the worker process: it imports only wasmtime and nothing of faas. The server imports
`engine_config`: the configurations of both sides must be equal, or wasmtime refuses the native code.
"""

import struct
import sys
from typing import BinaryIO

import wasmtime
from wasmtime import _bindings

# The first byte of a request.
PRECOMPILE, PRECOMPILE_COPY_ON_WRITE, ASSEMBLE = b"M", b"E", b"T"
# The first byte of an answer.
DONE, REFUSED = b"D", b"R"

_MODULE_MAGIC = b"\0asm"


def engine_config(stack: int, *, copy_on_write: bool = False) -> wasmtime.Config:
    """Return wasmtime's configuration for guests with a call stack of `stack` bytes.

    `copy_on_write` is for modules with much initial memory that many functions share: it is mapped into each instance
    instead of copied. For all others it would cost more than it saves: every page that a guest touches is a page fault,
    and where more modules take turns than there are slots, each call maps another memory: 64 µs instead of 22 µs for a
    function in AssemblyScript.

    Features that none of our toolchains uses are off, which leaves less to attack. There is one linear memory and no
    garbage-collected heap, so that the memory limit covers all of a guest's memory.
    """
    config = wasmtime.Config()
    config.epoch_interruption = True
    config.max_wasm_stack = stack
    config.cranelift_opt_level = "speed"
    config.wasm_threads = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    config.wasm_gc = False
    config.wasm_function_references = False  # wasmtime's C API ends the process when a host asks for such a type
    config.wasm_exceptions = False
    config.wasm_component_model = False
    _bindings.wasmtime_config_memory_init_cow_set(config.ptr(), copy_on_write)
    return config


def serve(stack: int, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer each request frame with native code or a module, or with the reason why there is none.

    A frame is its length in 4 bytes, big-endian, and its content. An empty first answer says that the worker is ready.
    """
    engines = {
        PRECOMPILE: wasmtime.Engine(engine_config(stack)),
        PRECOMPILE_COPY_ON_WRITE: wasmtime.Engine(engine_config(stack, copy_on_write=True)),
    }
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
            content = DONE + (
                bytes(wasmtime.wat2wasm(source)) if kind == ASSEMBLE else _precompile(engines[kind], source)
            )
        except wasmtime.WasmtimeError as error:
            content = REFUSED + str(error).encode()


def _precompile(engine: wasmtime.Engine, binary: bytes) -> bytes:
    if not binary.startswith(_MODULE_MAGIC):  # wasmtime-py would accept the text format too
        raise wasmtime.WasmtimeError("it does not begin with the bytes of a module, \\0asm")
    return bytes(wasmtime.Module(engine, binary).serialize())


if __name__ == "__main__":
    serve(int(sys.argv[-1]), sys.stdin.buffer, sys.stdout.buffer)
