"""Sources that do not compile: the place, a code frame, and what to do."""

import pytest

from tests.helpers.python_functions import PythonFunctions

# name → (source, expected parts of the diagnostics)
FAULTY_SOURCES: dict[str, tuple[str, tuple[str, ...]]] = {
    "bracket": (
        "import json\ndef handle(input:\n    return 1\n",
        ("SyntaxError: '(' was never closed (function.py:2:11)", "> 2 | def handle(input:\n    |           ^"),
    ),
    "indentation": (
        "def handle(input):\nreturn 1\n",
        ("IndentationError: expected an indented block after function definition on line 1 (function.py:2:1)",),
    ),
    "tabs": ("def handle(i):\n\tif 1:\n        return 1\n", ("TabError: inconsistent use of tabs", "function.py:3:")),
    "string": ('def handle(i):\n    return "abc\n', ("SyntaxError: unterminated string literal", "function.py:2:12")),
    "python_2": ('def handle(i):\n    print "x"\n', ("Missing parentheses in call to 'print'", "function.py:2:5")),
    "await_outside": ("await x\n", ("SyntaxError: 'await' outside function (function.py:1:1)",)),
    "return_outside": ("return 1\n", ("SyntaxError: 'return' outside function (function.py:1:1)",)),
    "keyword": ("class = 1\n", ("SyntaxError: invalid syntax (function.py:1:7)", "      ^")),
    "unicode": ("x = 1 ¬ 2\n", ("SyntaxError: invalid character '¬' (U+00AC) (function.py:1:7)",)),
    "nul": ("x = '\0'\n", ("SyntaxError: source code string cannot contain null bytes",)),
    "nested_brackets": (
        f"def handle(i): return {'(' * 300}{')' * 300}",
        ("the source is nested too deeply to be compiled",),
    ),
    "nested_sum": (
        f"def handle(i): return {'+'.join(['1'] * 20_000)}",
        ("the source is nested too deeply to be compiled",),
    ),
    "nothing": ("", ("the module defines no function to call: write `def handle(input):`",)),
    "other_name": (
        "import os\ndef main(a): return 1\n",
        ("or rename `main` (function.py:2:1)", "> 2 | def main(a): return 1"),
    ),
    "lambda_of_node": ("def handler(event, context): return 1\n", ("or rename `handler` (function.py:1:1)",)),
    "both": (
        "def handle(a): return 1\ndef lambda_handler(e, c): return 2\n",
        ("the module defines both `handle` and `lambda_handler`", "function.py:2:1"),
    ),
    "not_a_function": ("handle = 5\n", ("`handle` is not a function but of type int (function.py:1:1)",)),
    "no_parameter": ("def handle(): return 1\n", ("`handle` must accept 1 argument, (input)", "function.py:1:1")),
    "two_parameters": ("def handle(a, b): return 1\n", ("missing a required argument: 'b'",)),
    "keyword_only": ("def handle(a, *, b): return 1\n", ("missing a required keyword-only argument: 'b'",)),
    "lambda_without_context": (
        "def lambda_handler(event): return 1\n",
        ("`lambda_handler` must accept 2 arguments, (event, context)",),
    ),
    "generator": ("def handle(a):\n    yield 1\n", ("`handle` is a generator: return a list",)),
    "async_generator": ("async def handle(a):\n    yield 1\n", ("`handle` is a generator: return a list",)),
    "top_level_error": (
        'x = 1\ndef f():\n    return {}["k"]\nf()\ndef handle(a): return 1\n',
        ("KeyError: 'k' (function.py:3:12)", 'File "function.py", line 4, in <module>', "line 3, in f", "> 3 |"),
    ),
    "top_level_name": (
        "VALUE = 1\nprint(VALU)\n",
        ("NameError: name 'VALU' is not defined. Did you mean: 'VALUE'? (function.py:2:7)",),
    ),
    "package": ("import requests\n", ("No module named 'requests': only the standard library is available",)),
    "ssl": (
        "import ssl\n",
        ("No module named 'ssl': functions have no network connections of their own", "(function.py:1:1)"),
    ),
    "ctypes": ("import ctypes\n", ("No module named 'ctypes': native code cannot be loaded",)),
    "from_missing": ("from curses import ascii\n", ("No module named 'curses': functions have no terminal",)),
    "name_of_module": ("from json import dump5\n", ("ImportError: cannot import name 'dump5' from 'json'",)),
    "file": ("OPEN = open('config.json')\n", ("functions have no files: 'config.json' cannot be opened",)),
    "randomness": (
        "import uuid\nX = uuid.uuid4()\n",
        ("randomness at the top level would be the same in every call", "function.py:2:5"),
    ),
    "exit": ("import sys\nsys.exit(2)\n", ("SystemExit: the function called exit(2)", "function.py:2:1")),
    "recursion": ("def f(): return f()\nf()\n", ("RecursionError: maximum recursion depth exceeded", "more times]")),
    "memory": ("x = []\nwhile True: x.append(bytearray(1 << 20))\n", ("MemoryError: the memory limit is exceeded",)),
    "endless": ("while True: pass\n", ("the code at top level exceeded the time limit of 5 s",)),
}


@pytest.mark.parametrize("name", FAULTY_SOURCES)
async def test_python_compiler_explains_a_faulty_source(python: PythonFunctions, name: str) -> None:
    source, expected = FAULTY_SOURCES[name]
    diagnostics = await python.diagnostics(source)
    for part in expected:
        assert part in diagnostics


async def test_python_compiler_shows_the_right_column_after_wide_characters(python: PythonFunctions) -> None:
    diagnostics = await python.diagnostics('x = "é世界"; y = {}["k"]\n')
    assert "KeyError: 'k' (function.py:1:16)" in diagnostics
    assert f"    | {' ' * 15}^" in diagnostics


async def test_python_compiler_accepts_a_source_after_faulty_ones(python: PythonFunctions) -> None:
    for name in ("bracket", "memory", "exit"):
        await python.diagnostics(FAULTY_SOURCES[name][0])
    assert await python.call("def handle(input): return input", {"a": 1}) == {"a": 1}
