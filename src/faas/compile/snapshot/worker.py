"""The worker process that takes snapshots: it evaluates sources in instances of an engine, each in a fresh one.

The author's top-level code runs here. It is confined twice: WebAssembly has no access to anything but the functions
below, and the process is a worker of faas.sandbox. Neither the time nor randomness of the host is available, because
they would be the same in every call of the function.

The native code of the engine is that of the server: the worker inherits a descriptor of sealed memory, which it can
only read (faas.runtime.precompile.sealed_code). It compiles nothing itself. wasmtime refuses native code of another
configuration, so the file with the server's is executed here, too.

As a program, this file imports only wasmtime and nothing of faas. Arguments: the name of the engine, the descriptor of
its native code and its size, the file with `engine_config`, the guests' stack and memory in bytes, and the time limit
in seconds.
"""

import json
import os
import re
import runpy
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import wasmtime

# The first byte of a request: the memory of the engine before a source is evaluated; or a source, after a line with the
# name of its file, and one with its environment as JSON, {"env": {…}, "secrets": [names]}, or nothing.
BASE, SOURCE = b"B", b"S"
# The first byte of an answer: a snapshot, or the text of the author's error.
SNAPSHOT, AUTHOR_ERROR = b"S", b"E"

_PAGE_BYTES = 4096
_WASM_PAGE_BYTES = 64 << 10
_U32 = 0xFFFF_FFFF
_FAILED = b"!"  # the beginning of an answer of the engine that is an error
_PYTHON_HEADER_BYTES, _PYTHON_BYTES = 32, 0x8000_0000
_SCRIPT, _MODULE = 0, 1
_MODULE_SYNTAX = re.compile(rb"^[ \t]*(?:export\b|import\b\s*[\w{*\"'])", re.MULTILINE)
# Two lines before the author's first, which the engine counts from -1.
_SCRIPT_WRAPPER = b"(function (exports, require, module,\n__filename, __dirname) {\n", b"\n})"


class EvaluationFailed(Exception):
    """Raised when the source cannot be evaluated. The message is for its author."""


class Engine:
    """An engine, loaded. A new instance evaluates each source.

    `native_code` is an open file of `size` bytes, and `config` the configuration that it was made with.
    """

    def __init__(self, native_code: int, size: int, config: wasmtime.Config, memory: int, seconds: float) -> None:
        self._engine = wasmtime.Engine(config)
        path = Path(f"/proc/self/fd/{native_code}")
        if path.exists():
            self._module = wasmtime.Module.deserialize_file(self._engine, str(path))
        else:  # without /proc
            self._module = wasmtime.Module.deserialize(self._engine, os.pread(native_code, size, 0))
        self._state = [
            export.name
            for export in self._module.exports
            if isinstance(export.type, wasmtime.GlobalType) and export.type.mutable
        ]
        self._linker = wasmtime.Linker(self._engine)
        for name, function_type, function in _host_functions():
            self._linker.define_func("env", name, function_type, function)
        self._memory = memory
        self._seconds = seconds
        self.base = self.instance().memory()

    def instance(self) -> "Instance":
        """Return a new instance."""
        return Instance(self._engine, self._linker, self._module, self._memory, self._state)

    @contextmanager
    def limited(self, stack_overflow: str = "the code at top level exceeded the stack limit") -> Iterator[None]:
        """Within this context, the code of an instance has the time limit; what ends it is an EvaluationFailed."""
        timer = threading.Timer(self._seconds, self._engine.increment_epoch)
        timer.start()
        try:
            yield
        except wasmtime.Trap as trap:
            overflowed = trap.trap_code == wasmtime.TrapCode.STACK_OVERFLOW
            raise EvaluationFailed(stack_overflow if overflowed else self._describe(trap)) from None
        finally:
            timer.cancel()

    def _describe(self, trap: wasmtime.Trap) -> str:
        if trap.trap_code == wasmtime.TrapCode.INTERRUPT:
            return f"the code at top level exceeded the time limit of {self._seconds:g} s"
        return f"the code at top level ended with a trap: {trap.message.splitlines()[0]}"


class Instance:
    """An instance of an engine. `state` are its mutable globals."""

    def __init__(
        self, engine: wasmtime.Engine, linker: wasmtime.Linker, module: wasmtime.Module, memory: int, state: list[str]
    ) -> None:
        self._state = state
        self._store = wasmtime.Store(engine)
        self._store.set_limits(memory_size=memory)
        self._store.set_epoch_deadline(1)
        self._exports: Any = linker.instantiate(self._store, module).exports(self._store)

    def memory(self) -> bytes:
        """Return the whole memory."""
        memory = self._exports["memory"]
        return bytes(memory.read(self._store, 0, memory.data_len(self._store)))

    def globals(self) -> dict[str, int]:
        """Return the values of the mutable globals."""
        return {name: self._exports[name].value(self._store) & _U32 for name in self._state}

    def read(self, start: int, size: int) -> bytes:
        """Return `size` bytes of the memory."""
        return bytes(self._exports["memory"].read(self._store, start, start + size))

    def call(self, name: str, *arguments: int) -> int:
        """Call an exported function."""
        result: int = self._exports[name](self._store, *arguments)
        return result

    def put(self, data: bytes) -> int:
        """Write `data` to new memory and return its address. Raises EvaluationFailed when there is not enough."""
        address = self.call("alloc", len(data)) & _U32
        if not address:
            raise EvaluationFailed("the source does not fit into the memory limit")
        self._exports["memory"].write(self._store, data, address)
        return address


def evaluate_javascript(engine: Engine, source: bytes, file: bytes, environment: bytes) -> tuple[str, Instance]:
    """Return the contract of a source, and the instance that has evaluated it. Raises EvaluationFailed.

    A source is a module, or CommonJS. Where its syntax does not decide, both are tried.
    """
    kinds = (_MODULE, _SCRIPT) if _MODULE_SYNTAX.search(source) else (_SCRIPT, _MODULE)
    failures: list[EvaluationFailed] = []
    for kind in kinds:
        instance = engine.instance()
        try:
            with engine.limited():
                if environment:
                    instance.call("configure", instance.put(environment), len(environment))
                return _load_javascript(instance, _without_hashbang(source), file, kind), instance
        except EvaluationFailed as failure:
            failures.append(failure)
            if not str(failure).startswith("SyntaxError"):
                break
    raise failures[-1] if len(failures) == 1 or not str(failures[-1]).startswith("SyntaxError") else failures[0]


def _load_javascript(instance: Instance, source: bytes, file: bytes, kind: int) -> str:
    if kind == _SCRIPT:
        source = _SCRIPT_WRAPPER[0] + source + _SCRIPT_WRAPPER[1]
    packed = instance.call("load", instance.put(source), len(source), instance.put(file), kind)
    start, size = packed >> 32 & _U32, packed & _U32
    if not start:
        raise EvaluationFailed("the code at top level exceeded the memory limit")
    answer = instance.read(start, size)
    if answer.startswith(_FAILED):
        raise EvaluationFailed(answer[1:].decode("utf-8", "replace"))
    instance.call("seal")
    contract: str = json.loads(answer)["contract"]
    return contract


def evaluate_python(engine: Engine, source: bytes, _file: bytes, environment: bytes) -> tuple[str, Instance]:
    """Return the contract of a source, and the instance that has evaluated it. Raises EvaluationFailed.

    The source is compiled in another instance, so that what the compiler leaves behind is in no image.
    """
    with engine.limited(stack_overflow="SyntaxError: the source is nested too deeply to be compiled"):
        code = _ask_python(engine.instance(), "compile", environment, source, is_bytes=True)
    with engine.limited():
        instance = engine.instance()
        return _ask_python(instance, "load", code, b"", is_bytes=False).decode(), instance


def _ask_python(instance: Instance, function: str, part: bytes, text: bytes, *, is_bytes: bool) -> bytes:
    """Call an entry point of the Python engine (engines/python/host_module.py), which answers bytes or a text."""
    request = bytes(_PYTHON_HEADER_BYTES) + struct.pack("<I", len(part)) + part + text
    packed = instance.call(function, instance.put(request), len(request))
    answer = instance.read(packed >> 32 & _U32, packed & _U32 & ~_PYTHON_BYTES)
    if bool(packed & _PYTHON_BYTES) != is_bytes:
        raise EvaluationFailed(answer.decode("utf-8", "replace") or "the code at top level exceeded the memory limit")
    return answer


EVALUATE = {"javascript": evaluate_javascript, "python": evaluate_python}


def _host_functions() -> Iterator[tuple[str, wasmtime.FuncType, Any]]:
    i32, f64 = wasmtime.ValType.i32(), wasmtime.ValType.f64()
    yield "log", wasmtime.FuncType([i32, i32, i32], []), lambda *_: None  # there is no execution to log for
    yield "now", wasmtime.FuncType([], [f64]), lambda: 0.0
    yield "elapsed", wasmtime.FuncType([], [f64]), lambda: 0.0
    # The prelude refuses randomness and timers at top level.
    yield "random", wasmtime.FuncType([i32, i32], []), lambda *_: None
    yield "execution_id", wasmtime.FuncType([i32], []), lambda *_: None  # only a call has one
    yield "remaining", wasmtime.FuncType([], [f64]), lambda: 0.0
    yield "sleep", wasmtime.FuncType([f64], [i32]), lambda _: 1
    # The image must not have secrets, nor what another server has answered.
    yield "secrets_size", wasmtime.FuncType([], [i32]), lambda: 0
    yield "secrets_read", wasmtime.FuncType([i32], []), lambda _: None
    yield "request", wasmtime.FuncType([i32, i32], [i32]), lambda *_: -1
    yield "response_size", wasmtime.FuncType([i32], [i32]), lambda _: -1
    yield "response_read", wasmtime.FuncType([i32, i32], []), lambda *_: None


def _without_hashbang(source: bytes) -> bytes:
    return b"//" + source[2:] if source.startswith(b"#!") else source


def changed_pages(before: bytes, after: bytes) -> bytes:
    """Return the pages of `after` that differ from those of `before`, each after its number in 4 bytes.

    Memory that `before` does not have is zero.
    """
    zeros = bytes(_PAGE_BYTES)
    found = bytearray()
    for block in range(0, len(after), _WASM_PAGE_BYTES):  # most are equal
        end = block + _WASM_PAGE_BYTES
        if after[block:end] == before[block:end]:
            continue
        for start in range(block, end, _PAGE_BYTES):
            page = after[start : start + _PAGE_BYTES]
            if page != (before[start : start + _PAGE_BYTES] or zeros):
                found += struct.pack(">I", start // _PAGE_BYTES) + page
    return bytes(found)


def _answer(name: str, engine: Engine, request: bytes) -> bytes:
    if request[:1] == BASE:
        return engine.base
    file, environment, source = request[1:].split(b"\n", 2)
    try:
        contract, instance = EVALUATE[name](engine, source, file, environment)
    except EvaluationFailed as failure:
        return AUTHOR_ERROR + str(failure).encode("utf-8", "replace")
    memory = instance.memory()
    head = {"contract": contract, "globals": instance.globals(), "pages": len(memory) // _WASM_PAGE_BYTES}
    text = json.dumps(head).encode()
    return SNAPSHOT + struct.pack(">I", len(text)) + text + changed_pages(engine.base, memory)


def serve(name: str, engine: Engine, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer each request frame: its length in 4 bytes, big-endian, and its content. The first answer is empty."""
    content = b""
    while True:
        answers.write(struct.pack(">I", len(content)) + content)
        answers.flush()
        length = requests.read(4)
        if len(length) < 4:
            return
        content = _answer(name, engine, requests.read(*struct.unpack(">I", length)))


if __name__ == "__main__":
    engine_name, descriptor, code_bytes, config_file, stack_bytes, memory_bytes, time_limit = sys.argv[-7:]
    engine_config = runpy.run_path(config_file)["engine_config"]
    loaded = Engine(
        int(descriptor),
        int(code_bytes),
        engine_config(int(stack_bytes), copy_on_write=True),
        int(memory_bytes),
        float(time_limit),
    )
    serve(engine_name, loaded, sys.stdin.buffer, sys.stdout.buffer)
