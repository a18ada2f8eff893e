"""The worker process that takes snapshots: it evaluates sources in instances of an engine, each in a fresh one.

The author's top-level code runs here. It is confined twice: WebAssembly has no access to anything but the functions
below, and the process is a worker of faas.sandbox. Neither the time nor randomness of the host is available, because
they would be the same in every call of the function.

As a program, this file imports only wasmtime and nothing of faas. Arguments: the engine module, the guests' stack and
memory in bytes, and the time limit in seconds.
"""

import json
import re
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import wasmtime

# The first byte of a request: the memory of the engine before a source is evaluated; or a source, after the name of its
# file and a newline.
BASE, SOURCE = b"B", b"S"
# The first byte of an answer: a snapshot, or the text of the author's error.
SNAPSHOT, AUTHOR_ERROR = b"S", b"E"

_PAGE_BYTES = 4096
_WASM_PAGE_BYTES = 64 << 10
_STATE = ("__stack_pointer", "state")  # the mutable globals
_U32 = 0xFFFF_FFFF
_FAILED = b"!"  # the beginning of an answer of the engine that is an error
_SCRIPT, _MODULE = 0, 1
_MODULE_SYNTAX = re.compile(rb"^[ \t]*(?:export\b|import\b\s*[\w{*\"'])", re.MULTILINE)
# Two lines before the author's first, which the engine counts from -1.
_SCRIPT_WRAPPER = b"(function (exports, require, module,\n__filename, __dirname) {\n", b"\n})"


class EvaluationFailed(Exception):
    """Raised when the source cannot be evaluated. The message is for its author."""


class Engine:
    """An engine, compiled. `evaluate` uses a new instance each time."""

    def __init__(self, binary: bytes, stack: int, memory: int, seconds: float) -> None:
        config = wasmtime.Config()
        config.epoch_interruption = True
        config.max_wasm_stack = stack
        self._engine = wasmtime.Engine(config)
        self._module = wasmtime.Module(self._engine, binary)
        self._linker = wasmtime.Linker(self._engine)
        for name, function_type, function in _host_functions():
            self._linker.define_func("env", name, function_type, function)
        self._memory = memory
        self._seconds = seconds
        self.base = _Instance(self._engine, self._linker, self._module, memory).memory()

    def evaluate(self, source: bytes, file: bytes) -> tuple[str, "_Instance"]:
        """Return what the engine says of the source, and the instance. Raises EvaluationFailed.

        A source is a module, or CommonJS. Where its syntax does not decide, both are tried.
        """
        kinds = (_MODULE, _SCRIPT) if _MODULE_SYNTAX.search(source) else (_SCRIPT, _MODULE)
        failures: list[EvaluationFailed] = []
        for kind in kinds:
            instance = _Instance(self._engine, self._linker, self._module, self._memory)
            timer = threading.Timer(self._seconds, self._engine.increment_epoch)
            timer.start()
            try:
                return instance.load(_without_hashbang(source), file, kind), instance
            except EvaluationFailed as failure:
                failures.append(failure)
                if not str(failure).startswith("SyntaxError"):
                    break
            except wasmtime.Trap as trap:
                raise EvaluationFailed(self._describe(trap)) from None
            finally:
                timer.cancel()
        raise failures[-1] if len(failures) == 1 or not str(failures[-1]).startswith("SyntaxError") else failures[0]

    def _describe(self, trap: wasmtime.Trap) -> str:
        if trap.trap_code == wasmtime.TrapCode.INTERRUPT:
            return f"the code at top level exceeded the time limit of {self._seconds:g} s"
        if trap.trap_code == wasmtime.TrapCode.STACK_OVERFLOW:
            return "the code at top level exceeded the stack limit"
        return f"the code at top level ended with a trap: {trap.message.splitlines()[0]}"


class _Instance:
    def __init__(self, engine: wasmtime.Engine, linker: wasmtime.Linker, module: wasmtime.Module, memory: int) -> None:
        self._store = wasmtime.Store(engine)
        self._store.set_limits(memory_size=memory)
        self._store.set_epoch_deadline(1)
        self._exports: Any = linker.instantiate(self._store, module).exports(self._store)

    def load(self, source: bytes, file: bytes, kind: int) -> str:
        if kind == _SCRIPT:
            source = _SCRIPT_WRAPPER[0] + source + _SCRIPT_WRAPPER[1]
        packed = self._call("load", self._put(source), len(source), self._put(file), kind)
        start, size = packed >> 32 & _U32, packed & _U32
        if not start:
            raise EvaluationFailed("the code at top level exceeded the memory limit")
        answer = bytes(self._exports["memory"].read(self._store, start, start + size))
        if answer.startswith(_FAILED):
            raise EvaluationFailed(answer[1:].decode("utf-8", "replace"))
        self._call("seal")
        return answer.decode()

    def memory(self) -> bytes:
        memory = self._exports["memory"]
        return bytes(memory.read(self._store, 0, memory.data_len(self._store)))

    def globals(self) -> dict[str, int]:
        return {name: self._exports[name].value(self._store) & _U32 for name in _STATE}

    def _call(self, name: str, *arguments: int) -> int:
        result: int = self._exports[name](self._store, *arguments)
        return result

    def _put(self, data: bytes) -> int:
        address = self._call("alloc", len(data)) & _U32
        if not address:
            raise EvaluationFailed("the source does not fit into the memory limit")
        self._exports["memory"].write(self._store, data, address)
        return address


def _host_functions() -> Iterator[tuple[str, wasmtime.FuncType, Any]]:
    i32, f64 = wasmtime.ValType.i32(), wasmtime.ValType.f64()
    yield "log", wasmtime.FuncType([i32, i32, i32], []), lambda *_: None  # there is no execution to log for
    yield "now", wasmtime.FuncType([], [f64]), lambda: 0.0
    yield "elapsed", wasmtime.FuncType([], [f64]), lambda: 0.0
    # The prelude refuses randomness and timers at top level.
    yield "random", wasmtime.FuncType([i32, i32], []), lambda *_: None
    yield "remaining", wasmtime.FuncType([], [f64]), lambda: 0.0
    yield "sleep", wasmtime.FuncType([f64], [i32]), lambda _: 0


def _without_hashbang(source: bytes) -> bytes:
    return b"//" + source[2:] if source.startswith(b"#!") else source


def changed_pages(before: bytes, after: bytes) -> bytes:
    """Return the pages of `after` that differ from those of `before`, each after its number in 4 bytes.

    Memory that `before` does not have is zero.
    """
    zeros = bytes(_PAGE_BYTES)
    found = bytearray()
    for start in range(0, len(after), _PAGE_BYTES):
        page = after[start : start + _PAGE_BYTES]
        if page != (before[start : start + _PAGE_BYTES] or zeros):
            found += struct.pack(">I", start // _PAGE_BYTES) + page
    return bytes(found)


def _answer(engine: Engine, request: bytes) -> bytes:
    if request[:1] == BASE:
        return engine.base
    file, _, source = request[1:].partition(b"\n")
    try:
        found, instance = engine.evaluate(source, file)
    except EvaluationFailed as failure:
        return AUTHOR_ERROR + str(failure).encode("utf-8", "replace")
    memory = instance.memory()
    head = {**json.loads(found), "globals": instance.globals(), "pages": len(memory) // _WASM_PAGE_BYTES}
    text = json.dumps(head).encode()
    return SNAPSHOT + struct.pack(">I", len(text)) + text + changed_pages(engine.base, memory)


def serve(engine: Engine, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer each request frame: its length in 4 bytes, big-endian, and its content. The first answer is empty."""
    content = b""
    while True:
        answers.write(struct.pack(">I", len(content)) + content)
        answers.flush()
        length = requests.read(4)
        if len(length) < 4:
            return
        content = _answer(engine, requests.read(*struct.unpack(">I", length)))


if __name__ == "__main__":
    module, stack_bytes, memory_bytes, time_limit = sys.argv[-4:]
    serve(
        Engine(Path(module).read_bytes(), int(stack_bytes), int(memory_bytes), float(time_limit)),
        sys.stdin.buffer,
        sys.stdout.buffer,
    )
