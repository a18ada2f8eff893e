"""The module `host`, as text: the engine's entry points, Python's functions of the host, and answers to WASI imports.

Of the system interface that the C library imports, clocks and randomness come from the server, and everything else is
answered with an error: there are no files, sockets, processes or arguments.
"""

import re
from collections.abc import Mapping

HEADER_BYTES = 36  # of each request: 16 random bytes, the id of the execution, the length of the part of bytes
# Python's functions of the host, called as METH_FASTCALL: (self, arguments, count) → object.
PYTHON_FUNCTIONS = ("python_log", "python_sleep", "python_remaining", "python_request")
ENTRY_POINTS = ("alloc", "compile", "load", "handle")

# What the entry points keep in memory, from the address `cells` on.
CELLS_BYTES = 64
COMPILE_CELL, LOAD_CELL, HANDLE_CELL = 0, 4, 8  # callables
_ARGUMENTS, _LENGTH, _ADDRESS = 16, 32, 40

_SIGNATURE = re.compile(r"\(param(.*)\) \(result(.*)\)")
_IMPORTED = {  # of CPython and the C library: parameters → result, all i32
    "malloc": (1, 1),
    "PyBytes_FromStringAndSize": (2, 1),
    "PyUnicode_DecodeUTF8": (3, 1),
    "PyObject_Vectorcall": (4, 1),
    "PyUnicode_AsUTF8AndSize": (2, 1),
    "PyBytes_AsStringAndSize": (3, 1),
    "PyErr_Clear": (0, 0),
    "PyLong_AsLong": (1, 1),
}

_HOST_IMPORTS = """
(import "env" "log" (func $log (param i32 i32 i32)))
(import "env" "now" (func $now (result f64)))
(import "env" "elapsed" (func $elapsed (result f64)))
(import "env" "random" (func $random (param i32 i32)))
(import "env" "remaining" (func $remaining (result f64)))
(import "env" "sleep" (func $sleep (param f64) (result i32)))
(import "env" "request" (func $request (param i32 i32) (result i32)))
(import "env" "response_size" (func $response_size (param i32) (result i32)))
(import "env" "response_read" (func $response_read (param i32 i32)))
(import "link" "memory" (memory 0))
(import "python" "PyFloat_AsDouble" (func $PyFloat_AsDouble (param i32) (result f64)))
(import "python" "PyFloat_FromDouble" (func $PyFloat_FromDouble (param f64) (result i32)))
"""

# A request is HEADER_BYTES, then a part of bytes, then a text. The result is the address and the length of the answer,
# packed as `address << 32 | length`, with the highest bit of the length set where the answer is bytes and not a text.
_ENTRY_POINTS = """
(func $call (param $callable i32) (param $request i32) (param $length i32) (result i64)
  (local $part i32) (local $start i32) (local $answer i32) (local $address i32)
  (local.set $part (i32.load offset={part_length} (local.get $request)))
  (local.set $start (i32.add (local.get $request) (i32.const {header})))
  (i32.store (i32.const {arguments})
    (call $PyBytes_FromStringAndSize (local.get $request) (i32.const {header})))
  (i32.store offset=4 (i32.const {arguments})
    (call $PyBytes_FromStringAndSize (local.get $start) (local.get $part)))
  (i32.store offset=8 (i32.const {arguments})
    (call $PyUnicode_DecodeUTF8 (i32.add (local.get $start) (local.get $part))
      (i32.sub (i32.sub (local.get $length) (i32.const {header})) (local.get $part)) (i32.const 0)))
  (if (i32.eqz (i32.load offset=8 (i32.const {arguments}))) (then (call $PyErr_Clear) (return (i64.const 0x80000000))))
  (local.set $answer
    (call $PyObject_Vectorcall (local.get $callable) (i32.const {arguments}) (i32.const 3) (i32.const 0)))
  (if (i32.eqz (local.get $answer)) (then (call $PyErr_Clear) (return (i64.const 0x80000000))))
  (local.set $address (call $PyUnicode_AsUTF8AndSize (local.get $answer) (i32.const {length})))
  (if (local.get $address) (then (return (call $packed (local.get $address) (i32.load (i32.const {length}))))))
  (call $PyErr_Clear)
  (drop (call $PyBytes_AsStringAndSize (local.get $answer) (i32.const {arguments}) (i32.const {length})))
  (call $packed (i32.load (i32.const {arguments})) (i32.or (i32.load (i32.const {length})) (i32.const 0x80000000))))
(func $packed (param $address i32) (param $length i32) (result i64)
  (i64.or (i64.shl (i64.extend_i32_u (local.get $address)) (i64.const 32)) (i64.extend_i32_u (local.get $length))))
(func (export "alloc") (param i32) (result i32) (call $malloc (local.get 0)))
(func (export "compile") (param i32 i32) (result i64)
  (call $call (i32.load (i32.const {compile_cell})) (local.get 0) (local.get 1)))
(func (export "load") (param i32 i32) (result i64)
  (call $call (i32.load (i32.const {load_cell})) (local.get 0) (local.get 1)))
(func (export "handle") (param i32 i32) (result i64)
  (call $call (i32.load (i32.const {handle_cell})) (local.get 0) (local.get 1)))
(func (export "python_log") (param $self i32) (param $arguments i32) (param $count i32) (result i32)
  (local $address i32)
  (local.set $address (call $PyUnicode_AsUTF8AndSize (i32.load offset=4 (local.get $arguments)) (i32.const {length})))
  (if (local.get $address)
    (then (call $log (call $PyLong_AsLong (i32.load (local.get $arguments))) (local.get $address)
      (i32.load (i32.const {length}))))
    (else (call $PyErr_Clear)))
  (i32.const {none}))
(func (export "python_sleep") (param $self i32) (param $arguments i32) (param $count i32) (result i32)
  (local $left f64) (local $before f64) (local $now f64)
  (local.set $left (call $PyFloat_AsDouble (i32.load (local.get $arguments))))
  (local.set $now (call $elapsed))
  (loop $more  ;; the host's sleep ends early when a response comes, one that is not awaited any more, too
    (local.set $before (local.get $now))
    (if (i32.eqz (call $sleep (local.get $left))) (then unreachable))
    (local.set $now (call $elapsed))
    (local.set $left (f64.sub (local.get $left) (f64.sub (local.get $now) (local.get $before))))
    (br_if $more  ;; the clock stands still where a snapshot is taken
      (i32.and (f64.gt (local.get $left) (f64.const 0)) (f64.gt (local.get $now) (local.get $before)))))
  (i32.const {none}))
(func (export "python_remaining") (param $self i32) (param $arguments i32) (param $count i32) (result i32)
  (call $PyFloat_FromDouble (call $remaining)))
(func (export "python_request") (param $self i32) (param $arguments i32) (param $count i32) (result i32)
  (local $end f64) (local $left f64) (local $number i32) (local $size i32) (local $answer i32)
  (if (call $PyBytes_AsStringAndSize (i32.load (local.get $arguments)) (i32.const {address}) (i32.const {length}))
    (then (return (i32.const 0))))
  (local.set $end (f64.add (call $elapsed) (call $PyFloat_AsDouble (i32.load offset=4 (local.get $arguments)))))
  (local.set $number (call $request (i32.load (i32.const {address})) (i32.load (i32.const {length}))))
  (if (i32.lt_s (local.get $number) (i32.const 1)) (then unreachable))
  (loop $wait
    (local.set $size (call $response_size (local.get $number)))
    (if (i32.lt_s (local.get $size) (i32.const 0)) (then
      (local.set $left (f64.sub (local.get $end) (call $elapsed)))
      (if (f64.le (local.get $left) (f64.const 0)) (then (return (i32.const {none}))))
      (if (i32.eqz (call $sleep (local.get $left))) (then unreachable))
      (br $wait))))
  (local.set $answer (call $PyBytes_FromStringAndSize (i32.const 0) (local.get $size)))
  (if (local.get $answer) (then
    (drop (call $PyBytes_AsStringAndSize (local.get $answer) (i32.const {address}) (i32.const {length})))
    (call $response_read (local.get $number) (i32.load (i32.const {address})))))
  (local.get $answer))
"""

# Answers to imports of the C library; the last parameter is where a result that does not fit a value is written.
_MILLISECONDS_AS_TIME = """(local $now f64) (local $seconds f64)
  (local.set $now (call $now)) (local.set $seconds (f64.floor (f64.div (local.get $now) (f64.const 1000))))
  (i64.store {last} (i64.trunc_f64_s (local.get $seconds)))
  (i32.store offset=8 {last} (i32.trunc_f64_u (f64.mul (f64.const 1000000)
    (f64.sub (local.get $now) (f64.mul (local.get $seconds) (f64.const 1000))))))"""
_RANDOM_BYTES = """(local $address i32)
  (local.set $address (call $malloc (i32.wrap_i64 (local.get 0))))
  (call $random (local.get $address) (i32.wrap_i64 (local.get 0)))
  (i32.store {last} (local.get $address)) (i32.store offset=4 {last} (i32.wrap_i64 (local.get 0)))"""
_EMPTY_LIST = "(i64.store {last} (i64.const 0))"
_NONE = "(i32.store {last} (i32.const 0))"
_CLOSED = "(i64.store {last} (i64.const 1)) (i64.store offset=8 {last} (i64.const 1))"  # a stream that is
_ANSWERS = {
    "wall-clock#now": _MILLISECONDS_AS_TIME,
    "wall-clock#resolution": "(i64.store {last} (i64.const 0)) (i32.store offset=8 {last} (i32.const 1000000))",
    "monotonic-clock#now": "(i64.trunc_f64_u (f64.mul (call $elapsed) (f64.const 1000000)))",
    "monotonic-clock#resolution": "(i64.const 1000)",
    "random#get-random-bytes": _RANDOM_BYTES,
    "environment#get-environment": _EMPTY_LIST,
    "environment#get-arguments": _EMPTY_LIST,
    "preopens#get-directories": _EMPTY_LIST,
    "poll#poll": _EMPTY_LIST,
    "terminal-stdin#get-terminal-stdin": _NONE,
    "terminal-stdout#get-terminal-stdout": _NONE,
    "terminal-stderr#get-terminal-stderr": _NONE,
    "exit#exit": "unreachable",
    "streams#[method]output-stream.check-write": _CLOSED,
}


def host_module(undefined: Mapping[str, str], symbols: Mapping[str, int], cells: int) -> str:
    """Return the module that defines the functions `undefined`, each with its type as text.

    `symbols` are the addresses of CPython's data, and `cells` is that of the memory of this module.
    """
    lines = ["(module", _HOST_IMPORTS]
    for name, (parameters, results) in _IMPORTED.items():
        provider = "libc" if name == "malloc" else "python"
        signature = f"(param {' '.join(['i32'] * parameters)}) (result {' '.join(['i32'] * results)})"
        lines.append(f'(import "{provider}" "{name}" (func ${name} {signature}))')
    lines.append(
        _ENTRY_POINTS.format(
            header=HEADER_BYTES,
            part_length=HEADER_BYTES - 4,
            arguments=cells + _ARGUMENTS,
            length=cells + _LENGTH,
            address=cells + _ADDRESS,
            compile_cell=cells + COMPILE_CELL,
            load_cell=cells + LOAD_CELL,
            handle_cell=cells + HANDLE_CELL,
            none=symbols["_Py_NoneStruct"],
        )
    )
    for name, signature in sorted(undefined.items()):
        lines.append(f'(func (export "{name}") {signature} {answer(name, signature)})')
    return "\n".join(lines) + ")"


def answer(name: str, signature: str) -> str:
    """Return the body of the function that answers an import: what is known, or an error, or zero."""
    types = _SIGNATURE.fullmatch(signature)
    assert types
    parameters, results = types[1].split(), types[2].split()
    last = f"(local.get {len(parameters) - 1})"
    interface, _, function = name.rpartition("#")
    known = _ANSWERS.get(f"{interface.rpartition('/')[2].partition('@')[0]}#{function}")
    if known:
        return known.format(last=last)
    if results:
        return f"({results[0]}.const 0)"
    returns_result = interface and not function.startswith("[resource-drop]") and parameters[-1:] == ["i32"]
    return f"(i64.store {last} (i64.const 1))" if returns_result else ""
