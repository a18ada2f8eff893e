"""Modules that try to exceed their limits, to access data of others, or to delay others."""

from tests.helpers.guests import assemblyscript_module as module
from tests.helpers.support import core_wat, returning_wat
from tests.integration.hostile.outcomes import Hostile, completes, fails, refused

_ECHO = "(i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1)))"
_ZERO = "(i64.const 0)"


def _lines(line: str, count: int) -> str:
    """Repeat `line`; each # becomes the number of the repetition."""
    return "\n".join(line.replace("#", str(number)) for number in range(count))


def flooding(host: str, parameters: str, arguments: str) -> bytes:
    """Return an AssemblyScript module that calls a host function until it is stopped."""
    return module(
        f"(loop (call $host {arguments}) br 0) unreachable",
        imports=f'(import "env" "{host}" (func $host {parameters}))',
    )


def calling(host: str, parameters: str, arguments: str) -> bytes:
    """Return an AssemblyScript module that calls a host function once and returns its input."""
    return module(
        f"(call $host {arguments}) (local.get 0)", imports=f'(import "env" "{host}" (func $host {parameters}))'
    )


def wasi_command(host: str, body: str) -> str:
    """Return a WASI command in the text format that imports a function as $call. It has a local $n."""
    return (
        f'(module (import "wasi_snapshot_preview1" {host}) (memory (export "memory") 1)'
        f' (func (export "_start") (local $n i32) {body}))'
    )


MEMORY = {
    "grow to the limit, again and again": completes(
        core_wat(
            f"(local $n i32) (loop (drop (memory.grow (i32.const 64))) (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 10000)))) {_ECHO}",
            memory="1",
        )
    ),
    "grow by 2^32 - 1 pages": completes(core_wat(f"(drop (memory.grow (i32.const -1))) {_ECHO}", memory="1")),
    "grow and write behind it": fails(
        core_wat(
            f"(drop (memory.grow (i32.const 5000))) (i32.store (i32.const 0x10000000) (i32.const 1)) {_ZERO}",
            memory="1",
        ),
        "trap: memory access out of bounds",
    ),
    "grow endlessly in alloc": fails(
        core_wat(alloc="(loop (drop (memory.grow (i32.const 1))) (br 0)) unreachable", memory="1"),
        "time limit of 300ms",
    ),
    "4 GiB to begin with": refused(
        core_wat(memory="65536"), "memory limit of 16 MiB exceeded: the module asks for more"
    ),
    "more pages than there are": refused(core_wat(memory="65537"), "memory"),
    "fill all there is": fails(
        core_wat(f"(memory.fill (i32.const 0) (i32.const 7) (i32.const -1)) {_ZERO}"),
        "trap: memory access out of bounds",
    ),
    "copy across the end": fails(
        core_wat(f"(memory.copy (i32.const 65530) (i32.const 0) (i32.const 100)) {_ZERO}", memory="1 1"),
        "trap: memory access out of bounds",
    ),
    "copy from before the beginning": fails(
        core_wat(f"(memory.copy (i32.const 0) (i32.const -8) (i32.const 16)) {_ZERO}"),
        "trap: memory access out of bounds",
    ),
    "initialise from behind a segment": fails(
        core_wat(f"(memory.init 0 (i32.const 0) (i32.const 2) (i32.const 100)) {_ZERO}", extra='(data "abc")'),
        "trap: memory access out of bounds",
    ),
    "fill endlessly": fails(
        core_wat(
            "(loop (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x800000)) (br 0)) unreachable", memory="200"
        ),
        "time limit of 300ms",
    ),
    "a data segment behind the memory": fails(
        core_wat(extra='(data (i32.const 0x7ffffff0) "x")'), "trap: memory access out of bounds"
    ),
    "a data segment at -1": fails(core_wat(extra='(data (i32.const -1) "x")'), "trap: memory access out of bounds"),
    "data segments of 900 KB": completes(core_wat(memory="20", extra=f'(data (i32.const 65536) "{"x" * 900_000}")')),
    "100,000 data segments": completes(core_wat(extra='(data "")' * 100_000)),
    "over 100,000 data segments": refused(core_wat(extra='(data "")' * 100_001), "not a valid WebAssembly module"),
    "two memories": refused(core_wat(extra="(memory $second 1)"), "not a valid WebAssembly module"),
    "a shared memory": refused(core_wat(memory="1 1 shared"), "not a valid WebAssembly module"),
    "a 64-bit memory": refused(core_wat(memory="i64 1"), "not a valid WebAssembly module"),
    "a memory of the host's": refused(
        '(module (import "env" "memory" (memory 1)) (export "memory" (memory 0)) (func (export "alloc") (param i32) (result i32) (i32.const 0))'
        ' (func (export "handle") (param i32 i32) (result i64) (i64.const 0)))',
        "import env.memory is not provided",
    ),
}

TABLES = {
    "of four billion": refused(core_wat(extra="(table 0xffffffff funcref)"), "the module cannot be started"),
    "grow to four billion": completes(
        core_wat(f"(drop (table.grow 0 (ref.null func) (i32.const -2))) {_ECHO}", extra="(table 1 funcref)")
    ),
    "grow endlessly": fails(
        core_wat(
            "(loop (drop (table.grow 0 (ref.null func) (i32.const 1000))) (br 0)) unreachable",
            extra="(table 1 funcref)",
        ),
        "time limit of 300ms",
    ),
    "100 of them": refused(core_wat(extra="(table 1 funcref)" * 100), "the module cannot be started"),
    "over 100 of them": refused(core_wat(extra="(table 1 funcref)" * 101), "not a valid WebAssembly module"),
    "16 of 100,000": completes(core_wat(extra="(table 100000 funcref)" * 16)),
    "set behind the end": fails(
        core_wat(f"(table.set 0 (i32.const 5) (ref.null func)) {_ZERO}", extra="(table 5 funcref)"),
        "trap: table access out of bounds",
    ),
    "fill with lies": fails(
        core_wat(f"(table.fill 0 (i32.const 1) (ref.null func) (i32.const -1)) {_ZERO}", extra="(table 5 funcref)"),
        "trap: table access out of bounds",
    ),
    "elements behind the end": fails(
        core_wat(extra="(table 1 funcref) (elem (i32.const 1000) $handle)"), "trap: table access out of bounds"
    ),
    "call behind the end": fails(
        core_wat("(call_indirect (result i64) (i32.const 99))", extra="(table 1 funcref)"),
        "trap: table access out of bounds",
    ),
    "call what is null": fails(
        core_wat("(call_indirect (result i64) (i32.const 0))", extra="(table 1 funcref)"),
        "trap: call of a null function",
    ),
    "call as another type": fails(
        core_wat("(call_indirect (result i64) (i32.const 0))", extra="(table 1 funcref) (elem (i32.const 0) $handle)"),
        "trap: indirect call of a function with another type",
    ),
    "endless recursion": fails(
        core_wat(
            "(call_indirect (param i32 i32) (result i64) (local.get 0) (local.get 1) (i32.const 0))",
            extra="(table 1 funcref) (elem (i32.const 0) $handle)",
        ),
        "stack limit of 256 KiB exceeded",
    ),
    "a reference to the host": refused(
        core_wat(extra='(import "env" "abort" (func $abort)) (table 1 funcref) (elem (i32.const 0) $abort)'),
        "import env.abort is not provided; the imports provided: faas.env, faas.http",
    ),
}

STACK = {
    "two that call each other": fails(
        core_wat(
            "(call $other (local.get 0) (local.get 1))",
            extra="(func $other (param i32 i32) (result i64) (call $handle (local.get 1) (local.get 0)))",
        ),
        "stack limit of 256 KiB exceeded in ",
    ),
    "tail calls endlessly": fails(core_wat("(return_call $handle (local.get 0) (local.get 1))"), "time limit of 300ms"),
    "frames of 40,000 locals": fails(
        core_wat(
            "(local "
            + "i64 " * 40_000
            + ") "
            + "".join(f"(local.set {n} (i64.extend_i32_u (local.get 0)))" for n in range(2, 1000))
            + "(call $handle (local.get 0) (local.get 1)) "
            + "".join(f"(local.get {n}) i64.add " for n in range(2, 1000))
        ),
        "stack limit of 256 KiB exceeded",
    ),
    "50,001 locals": refused(core_wat("(local " + "i64 " * 50_001 + ")" + _ECHO), "not a valid WebAssembly module"),
    "1,001 parameters": refused(core_wat(extra=f"(func (param {'i32 ' * 1001}))"), "not a valid WebAssembly module"),
    "1,000 results": completes(core_wat(extra=f"(func (result {'i32 ' * 1000}) {'i32.const 0 ' * 1000})")),
    "recursion in the start function": fails(
        core_wat(extra="(func $deep (call $deep)) (start $deep)"), "stack limit of 256 KiB exceeded"
    ),
    "recursion through alloc": fails(
        '(module (memory (export "memory") 1) (func $alloc (export "alloc") (param i32) (result i32) (i32.add (i32.const 1) (call $alloc (local.get 0))))'
        ' (func (export "handle") (param i32 i32) (result i64) (i64.const 0)))',
        "stack limit of 256 KiB exceeded in alloc",
    ),
}

CODE = {
    "20,000 functions": completes(core_wat(extra="(func)" * 20_000)),
    "20,000 exports": completes(core_wat(extra="(func $f)" + _lines('(export "e#" (func $f))', 20_000))),
    "20,000 globals": completes(core_wat(extra="(global (mut i64) (i64.const 1))" * 20_000)),
    "20,000 types": completes(core_wat(extra=_lines(f"(type (func (param {'i32 ' * 3}f64)))", 20_000))),
    "an export of 90,000 characters": completes(core_wat(extra=f'(func (export "{"e" * 90_000}"))')),
    "a name with every odd character": completes(
        core_wat(extra='(func (export "\\00\\e2\\80\\ae\\f0\\9d\\84\\9e/../../etc"))')
    ),
    "blocks nested 20,000 deep": completes(core_wat("block " * 20_000 + "end " * 20_000 + _ECHO)),
    "loops nested 2,000 deep": completes(core_wat("loop " * 2_000 + "end " * 2_000 + _ECHO)),
    "ifs nested 5,000 deep": completes(core_wat("local.get 0 if " * 5_000 + "end " * 5_000 + _ECHO)),
    "parentheses nested 50,000 deep": refused(
        core_wat("(i64.eqz " * 50_000 + _ZERO + ")" * 50_000), "not a valid WebAssembly module"
    ),
    "a branch table of 60,000": completes(core_wat("block local.get 0 br_table " + "0 " * 60_000 + "end " + _ECHO)),
    "a branch table of 100,000": refused(
        core_wat("block local.get 0 br_table " + "0 " * 100_000 + "end " + _ECHO),
        "which exceeds the implementation limit",
    ),
    "one expression of 50,000 terms": completes(
        core_wat("local.get 0 " + "local.get 1 i32.add " * 50_000 + "drop " + _ECHO)
    ),
    "a stack of 50,000 operands": completes(core_wat("local.get 0 " * 50_000 + "drop " * 50_000 + _ECHO)),
    "500 KB of nothing": completes(core_wat("nop " * 200_000 + _ECHO)),
    "unreachable code that does not add up": completes(core_wat(f"{_ECHO} return unreachable i32.add drop br 0")),
    "a garbage-collected type": refused(
        core_wat(extra="(type (struct (field i32)))"), "not a valid WebAssembly module"
    ),
    "an exception": refused(core_wat(extra="(tag $e) (func (throw $e))"), "not a valid WebAssembly module"),
    "atomics": refused(core_wat(f"(drop (i32.atomic.load (i32.const 0))) {_ECHO}"), "not a valid WebAssembly module"),
    "a component in text": refused("(component)", "not a valid WebAssembly module"),
    "components in components": refused("(component " * 60 + ")" * 60, "not a valid WebAssembly module"),
    "a comment without an end": refused("(;" * 100_000, "unterminated block comment"),
    "a string without an end": refused('(module (data "' + "x" * 100_000, "unexpected end-of-file"),
    "a quoted module": refused('(module quote "(module)")', "expected `(`"),
    "text of the trojan kind": refused("(module) ;; \u202e (func)", "confusing unicode"),
    "a number too large": refused(core_wat(f"(i64.const {'9' * 100_000})"), "function.wat:"),
}

START = {
    "loops": fails(core_wat(extra="(func $s (loop (br 0))) (start $s)"), "time limit of 300ms"),
    "traps": fails(core_wat(extra="(func $s unreachable) (start $s)"), "trap: unreachable code was reached"),
    "takes a parameter": refused(core_wat(extra="(func $s (param i32)) (start $s)"), "not a valid WebAssembly module"),
    "as _initialize, loops": fails(
        core_wat(extra='(func (export "_initialize") (loop (br 0)))'), "time limit of 300ms"
    ),
    "as _initialize, takes a parameter": refused(
        core_wat(extra='(func (export "_initialize") (param i32))'),
        "export _initialize is (i32) -> (), needed is () -> ()",
    ),
    "as _initialize, is a global": completes(core_wat(extra='(global (export "_initialize") i32 (i32.const 0))')),
}

IMPORTS = {
    "20,000 with long names": refused(
        core_wat(extra=_lines(f'(import "env" "{"f" * 20}#" (func))', 20_000)), "; and 19995 more"
    ),
    "WASI files": refused(
        core_wat(
            extra='(import "wasi_snapshot_preview1" "path_open" (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))'
        ),
        "import wasi_snapshot_preview1.path_open is not provided",
    ),
    "WASI exit": refused(
        core_wat(extra='(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))'),
        "import wasi_snapshot_preview1.proc_exit is not provided",
    ),
    "a WASI command without an output": fails(
        '(module (memory (export "memory") 1) (func (export "_start")))', "wrote nothing to standard output"
    ),
    "a WASI command that writes as many pieces as it can": fails(
        wasi_command(
            '"fd_write" (func $call (param i32 i32 i32 i32) (result i32))',
            "(drop (call $call (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 0)))",
        ),
        "",
    ),
    "a WASI command that closes its streams": fails(
        wasi_command(
            '"fd_close" (func $call (param i32) (result i32))',
            "(loop $all (drop (call $call (local.get $n)))"
            " (br_if $all (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 9))))",
        ),
        "wrote nothing to standard output",
    ),
    "a WASI command that fills its memory with randomness": fails(
        wasi_command(
            '"random_get" (func $call (param i32 i32) (result i32))',
            "(loop $ever (drop (call $call (i32.const 0) (i32.const 65536))) (br $ever))",
        ),
        "time limit",
    ),
    "a WASI command that waits for 4 billion timeouts": fails(
        wasi_command(
            '"poll_oneoff" (func $call (param i32 i32 i32 i32) (result i32))',
            "(drop (call $call (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 0)))",
        ),
        "wrote nothing to standard output",
    ),
    "a WASI command that reads outside its memory": fails(
        wasi_command(
            '"fd_read" (func $call (param i32 i32 i32 i32) (result i32))',
            "(i32.store (i32.const 0) (i32.const 65530)) (i32.store (i32.const 4) (i32.const 65530))"
            " (drop (call $call (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 65534)))",
        ),
        "",
    ),
    "env.system": refused(
        core_wat(extra='(import "env" "system" (func (param i32) (result i32)))'), "import env.system is not"
    ),
    "no name at all": refused(core_wat(extra='(import "" "" (func))'), "import . is not provided"),
    "a global": refused(core_wat(extra='(import "env" "abort" (global i32))'), "import env.abort is not provided"),
    "a log level that takes more": refused(
        module("(local.get 0)", imports='(import "env" "console.log" (func (param i64)))'),
        "import env.console.log has another type",
    ),
    "a host function as a memory": refused(
        module("(local.get 0)", imports='(import "env" "seed" (memory 1))'), "not a valid WebAssembly module"
    ),
    "a host function as a table": refused(
        module("(local.get 0)", imports='(import "env" "seed" (table 1 funcref))'), "import env.seed has another type"
    ),
}

LIES = {
    "alloc before the end": fails(
        core_wat(alloc="(i32.const 65535)", memory="1"), "alloc(2) returned 65535, which leaves no room"
    ),
    "alloc nothing": completes(core_wat(alloc="(i32.const 0)")),
    "alloc that traps": fails(core_wat(alloc="unreachable"), "trap: unreachable code was reached in function 0"),
    "a length of 4 GiB": fails(
        core_wat("(i64.const 0x00000400ffffffff)"), "output limit of 1 MiB exceeded: handle returned 4294967295"
    ),
    "an address and length that wrap": fails(
        core_wat("(i64.const 0xffffffff00000010)"), "which lie outside its memory"
    ),
    "one byte behind the end": fails(
        core_wat("(i64.const 0x0000fffe00000003)", memory="1"), "which lie outside its memory"
    ),
    "a memory that it shrinks": fails(core_wat("(i64.const -1)"), "output limit of 1 MiB exceeded"),
    "exactly the output limit of nothing": fails(
        core_wat("(i64.const 0x0000000000100000)", memory="100"), "invalid JSON"
    ),
    "a byte over the output limit": fails(
        core_wat("(i64.const 0x0000000000100001)", memory="100"), "output limit of 1 MiB exceeded"
    ),
    "memory as a function": refused(
        '(module (func (export "memory")) (func (export "alloc") (param i32) (result i32) (i32.const 0))'
        ' (func (export "handle") (param i32 i32) (result i64) (i64.const 0)))',
        "export memory is () -> (), needed is memory",
    ),
    "both conventions at once": completes(
        core_wat(
            extra='(func (export "__new") (param i32 i32) (result i32) unreachable) (func (export "__pin") (param i32) (result i32) unreachable)'
        )
    ),
    "AssemblyScript: a string at the end of memory": fails(
        module("(i32.const 131072)"), "handle returned a value that is not a string"
    ),
    "AssemblyScript: a string behind the memory": fails(module("(i32.const 131081)"), "which is not a string"),
    "AssemblyScript: an odd length": fails(
        module(
            "(i32.store (i32.const 1016) (i32.const 2)) (i32.store (i32.const 1020) (i32.const 3)) (i32.const 1024)"
        ),
        "handle returned a value that is not a string",
    ),
    "AssemblyScript: a length of 4 GiB": fails(
        module(
            "(i32.store (i32.const 1016) (i32.const 2)) (i32.store (i32.const 1020) (i32.const -2)) (i32.const 1024)"
        ),
        "output limit of 1 MiB exceeded",
    ),
    "AssemblyScript: a length behind the memory": fails(
        module(
            "(i32.store (i32.const 1016) (i32.const 2)) (i32.store (i32.const 1020) (i32.const 262144)) (i32.const 1024)"
        ),
        "handle returned a value that is not a string",
    ),
    "AssemblyScript: handle returns its own header": fails(
        module("(i32.const 8)"), "handle returned a value that is not a string"
    ),
}

OUTPUT = {
    "nothing": fails(core_wat(_ZERO), "invalid JSON: JSON is malformed: it ends too early"),
    "no JSON": fails(
        returning_wat("<html>"),
        "invalid JSON: JSON is malformed: invalid character (byte 0); the output begins: <html>",
    ),
    "two documents": fails(returning_wat("{} {}"), "invalid JSON"),
    "NaN": fails(returning_wat("NaN"), "invalid JSON"),
    "500 levels": completes(returning_wat("[" * 500 + "]" * 500), "[[["),
    "501 levels": fails(returning_wat('{"a":' * 501 + "1" + "}" * 501), "nested deeper than 500 levels"),
    "half a million levels": fails(
        core_wat(
            "(memory.fill (i32.const 2048) (i32.const 91) (i32.const 500000)) (i64.const 0x000008000007a120)",
            memory="10",
        ),
        "nested deeper than 500 levels",
    ),
    "a lone surrogate escape": fails(returning_wat('"\\ud800"'), "unpaired surrogate escape \\ud800"),
    "a surrogate in UTF-8": fails(
        core_wat("(i64.const 0x0000080000000005)", extra='(data (i32.const 2048) "\\22\\ed\\a0\\80\\22")'),
        "invalid UTF-8 at byte 1",
    ),
    "an overlong character": fails(
        core_wat("(i64.const 0x0000080000000004)", extra='(data (i32.const 2048) "\\22\\c0\\80\\22")'),
        "invalid UTF-8 at byte 1",
    ),
    "NUL": fails(core_wat("(i64.const 0x0000080000000002)"), "the output begins: \\u0000\\u0000"),
    "an escaped NUL": completes(returning_wat('"\\u0000"'), '"\\u0000"'),
    "a number of 100,000 digits": completes(
        core_wat(
            "(memory.fill (i32.const 2048) (i32.const 57) (i32.const 100000)) (i64.const 0x00000800000186a0)",
            memory="3",
        ),
        "999",
    ),
    "a key a thousand times": completes(returning_wat("{" + ",".join(['"a":1'] * 1000) + "}"), '{"a":1,"a":1'),
    "terminal escapes in what is no JSON": fails(returning_wat("\x1b]0;owned\x07"), "invalid JSON"),
}

HOST = {
    "console.log endlessly": fails(flooding("console.log", "(param i32)", "(i32.const 1024)"), "time limit of 300ms"),
    "console.log endlessly, of the whole memory": fails(
        module(
            "(i32.store (i32.const 1020) (i32.const -1)) (loop (call $log (i32.const 1024)) (br 0)) unreachable",
            imports='(import "env" "console.log" (func $log (param i32)))',
        ),
        "time limit of 300ms",
    ),
    "console.error with lying pointers endlessly": fails(
        flooding("console.error", "(param i32)", "(i32.const -1)"), "time limit of 300ms"
    ),
    "console.time endlessly": fails(
        flooding("console.time", "(param i32)", "(i32.const 131072)"), "time limit of 300ms"
    ),
    "Date.now endlessly": fails(
        module(
            "(loop (drop (call $now)) (br 0)) unreachable", imports='(import "env" "Date.now" (func $now (result f64)))'
        ),
        "time limit of 300ms",
    ),
    "seed endlessly": fails(
        module(
            "(loop (drop (call $seed)) (br 0)) unreachable", imports='(import "env" "seed" (func $seed (result f64)))'
        ),
        "time limit of 300ms",
    ),
    "trace endlessly": fails(
        flooding(
            "trace", "(param i32 i32 f64 f64 f64 f64 f64)", "(i32.const -4) (i32.const -1)" + "(f64.const nan)" * 5
        ),
        "time limit of 300ms",
    ),
    "trace with two billion numbers": completes(
        calling(
            "trace",
            "(param i32 i32 f64 f64 f64 f64 f64)",
            "(i32.const 0) (i32.const 0x7fffffff)" + "(f64.const inf)" * 5,
        )
    ),
    "abort endlessly": fails(
        flooding("abort", "(param i32 i32 i32 i32)", "(i32.const 0)" * 4), "abort: no message", endless=True
    ),
    "abort with lies": fails(
        calling(
            "abort", "(param i32 i32 i32 i32)", "(i32.const 0x7ffffff0) (i32.const -8) (i32.const -1) (i32.const -1)"
        ),
        "abort: no message in (4294967295,4294967295)",
    ),
    "console.assert with lies": completes(
        calling("console.assert", "(param i32 i32)", "(i32.const 0) (i32.const 131071)")
    ),
    "a string at address 3": completes(calling("console.log", "(param i32)", "(i32.const 3)")),
}

NUMBERS = {
    "division by zero": fails(
        core_wat(f"(drop (i64.rem_s (i64.const 1) (i64.const 0))) {_ZERO}"), "trap: integer division by zero"
    ),
    "the one quotient that overflows": fails(
        core_wat(f"(drop (i32.div_s (i32.const 0x80000000) (i32.const -1))) {_ZERO}"), "trap: integer overflow"
    ),
    "infinity as an integer": fails(
        core_wat(f"(drop (i32.trunc_f64_s (f64.const inf))) {_ZERO}"), "trap: integer overflow"
    ),
    "NaN as an integer": fails(
        core_wat(f"(drop (i64.trunc_f32_u (f32.const nan))) {_ZERO}"),
        "trap: a number that does not fit was converted to an integer",
    ),
    "a shift by more than there is": completes(core_wat(f"(drop (i64.shl (i64.const 1) (i64.const 9999))) {_ECHO}")),
}

GROUPS = {
    "memory": MEMORY, "table": TABLES, "stack": STACK, "code": CODE, "start function": START, "import": IMPORTS, "lie": LIES,
    "output": OUTPUT, "host function": HOST, "number": NUMBERS,
}  # fmt: skip
MODULES: dict[str, Hostile] = {
    f"{group}: {name}": entry for group, entries in GROUPS.items() for name, entry in entries.items()
}

# Exceeds the time limit of the assembler, which searches all labels for each branch.
SLOW = refused(
    "(module (func block $a "
    + "block $b " * 48_000
    + "i32.const 0 br_table "
    + "$a " * 140_000
    + "end " * 48_001
    + "))",
    "precompiler exceeded the time limit of 1s",
)
