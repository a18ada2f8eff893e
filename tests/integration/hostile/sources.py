"""AssemblyScript that tries to access the compiler's environment, or to block the compiler."""

from tests.integration.hostile.outcomes import Hostile, completes, fails, refused


def handle(body: str, before: str = "") -> str:
    """Return a function with this body."""
    return f"{before}\nexport function handle(input: string): string {{\n{body}\n}}\n"


_RETURN = "return input;"

SOURCES: dict[str, Hostile] = {
    # Access to the environment of the compiler
    "import fs": refused(handle(_RETURN, 'import { readFileSync } from "fs";'), "not found"),
    "import node:fs": refused(handle(_RETURN, 'import * as fs from "node:fs";'), "not found"),
    "import child_process": refused(handle(_RETURN, 'import { execSync } from "child_process";'), "not found"),
    "import a file above": refused(handle(_RETURN, 'import { x } from "../../../../../etc/passwd";'), "not found"),
    "import a file by its path": refused(handle(_RETURN, 'import { x } from "/etc/passwd";'), "not found"),
    "import a URL": refused(handle(_RETURN, 'import { x } from "file:///etc/passwd";'), "not found"),
    "import the compiler": refused(handle(_RETURN, 'import * as asc from "assemblyscript/asc";'), "not found"),
    "import the worker": refused(handle(_RETURN, 'import * as worker from "./worker.mjs";'), "not found"),
    "import a path of 100,000": refused(
        handle(_RETURN, f'import {{ x }} from "./{"../" * 33_000}etc/passwd";'), "File '../../../"
    ),
    "import oneself": completes(handle(_RETURN, 'import * as self from "./function";')),
    "re-export a file": refused(handle(_RETURN, 'export * from "/proc/self/environ";'), "not found"),
    "require": refused(handle('return require("fs").readFileSync("/etc/passwd");'), "Cannot find name 'require'"),
    "process.env": completes(handle("return process.env.size.toString();"), "0"),
    "process.exit": refused(handle("process.exit(0); return input;"), "not provided"),
    "eval": refused(handle('return eval("1");'), "Cannot find name 'eval'"),
    "globalThis": refused(handle("return globalThis.process.mainModule;"), "Cannot find name 'globalThis'"),
    "an external function": refused(
        handle("return system(input);", '@external("env", "system") declare function system(command: string): string;'),
        "import env.system is not provided",
    ),
    "an external function of WASI's": refused(
        handle(
            "exit(0); return input;",
            '@external("wasi_snapshot_preview1", "proc_exit") declare function exit(code: i32): void;',
        ),
        "import wasi_snapshot_preview1.proc_exit is not provided",
    ),
    "an external abort of another type": refused(
        handle("stop(1); return input;", '@external("env", "abort") declare function stop(code: i64): void;'),
        "import env.abort has another type",
    ),
    "a decorator that runs": refused(
        handle(_RETURN, "@eval('1') @json class A { a: i32 = 0; }"),
        "the compiler crashed on this source: AssertionError",
    ),
    "compiler options in a comment": completes(handle(_RETURN, '/// <reference path="/etc/passwd" />\n// @ts-ignore')),
    # Names that may confuse a compiler in JavaScript
    "a class called __proto__": completes(
        handle(_RETURN, "class __proto__ { prototype: i32 = 0; __proto__: i32 = 1; }")
    ),
    "names of Object.prototype": completes(
        handle(
            "return valueOf(input);",
            "function valueOf(s: string): string { return s; } function hasOwnProperty(): void {} const constructor = 1;",
        )
    ),
    "a JSON class with __proto__": completes(
        handle(
            "return JSON.stringify(JSON.parse<A>(input));",
            'import { JSON } from "json-as";\n@json class A { __proto__: i32 = 1; prototype: i32 = 2; }',
        ),
        '{"__proto__":5,"prototype":2}',
        b'{"__proto__":5}',
    ),
    "code in a name of JSON": completes(
        handle(
            "return JSON.stringify(new A());",
            'import { JSON } from "json-as";\n@json class A { @alias("`${process.exit()}`") a: i32 = 1; }',
        ),
        '{"`${process.exit()}`":1}',
    ),
    "a string with an end of its own": completes(handle('return "\\"\\\\\\"; process.exit(1); //\\"";'), '"'),
    "bytes that are no text": refused("\x01\x02\ufffe\uffff", "function.ts(1,"),
    "no end of a comment": refused("/*" * 200_000, "function.ts(1,"),
    "no end of a string": refused(handle('return "' + "x" * 300_000), "Unterminated string literal"),
    "no end of a template": refused(handle("return `${" * 2000), "Expression expected"),
    "a regular expression": refused(handle("return /(a+)+$/.test(input).toString();"), "function.ts("),
    "a loop in the types": refused(handle(_RETURN, "type A = B; type B = A; let x: A;"), "function.ts("),
    "a class that extends itself": refused(
        handle("return new A().toString();", "class A extends A {}"), "function.ts("
    ),
    "a constant that needs itself": refused(
        handle("return A.toString();", "const A: i32 = B; const B: i32 = A;"), "used before its declaration"
    ),
    # Endless compilations
    "generics without end": refused(
        handle(
            "grow<i32>(1); return input;",
            "class Box<T> { constructor(public value: T) {} }\nfunction grow<T>(value: T): void { grow<Box<T>>(new Box<T>(value)); }",
        ),
        "the compiler crashed on this source: RangeError",
    ),
    "blocks 20,000 deep": refused(
        handle("{" * 20_000 + "}" * 20_000 + _RETURN), "the compiler crashed on this source: RangeError"
    ),
    "a sum of 5,000 terms": refused(
        handle("return (" + "+".join(["input.length"] * 5_000) + ").toString();"),
        "the compiler crashed on this source: RangeError",
    ),
    "an array of 100,000": completes(
        handle(f"const a: i32[] = [{'7,' * 100_000}7]; return a.length.toString();"), "100001"
    ),
    "a string of 900,000": completes(handle(f'return "x{"y" * 900_000}".length.toString();'), "900001"),
    "5,000 functions": completes(
        handle(_RETURN, "\n".join(f"export function f{n}(a: i32): i32 {{ return a; }}" for n in range(5_000)))
    ),
    "10,000 errors": refused(handle("let a: i32 = 'x';\n" * 10_000 + _RETURN), "function.ts(3,"),
    # Attempts of a running guest
    "a pointer out of nowhere": fails(
        handle("store<i32>(0xfffffff0, 1); return input;"), "trap: memory access out of bounds"
    ),
    "a string out of nowhere": fails(handle("return changetype<string>(0x7ffffff0);"), "which is not a string"),
    "a string with a length that lies": fails(
        handle("store<i32>(changetype<usize>(input) - 4, 0x7ffffffe); return input;"),
        "output limit of 1 MiB exceeded",
    ),
    "free what was never allocated": completes(handle("heap.free(12345); return input;")),
    "static code that loops": fails(
        handle(_RETURN, "function f(): i32 { while (true) {} return 1; }\nconst X = f();\nexport const Y = X;"),
        "time limit of 300ms",
    ),
    "static code that traps": fails(
        handle(_RETURN, "function f(): i32 { unreachable(); return 1; }\nexport const Y = f();"), "trap: unreachable"
    ),
    "an error message of a megabyte": fails(handle('throw new Error("x".repeat(1 << 20));'), "abort: xxx"),
    "grow memory oneself": completes(handle("return memory.grow(60000).toString();"), "-1"),
}
