"""Calls that fail: the exception, the author's frames, and a sentence of its own for what is not plain."""

import pytest

from tests.helpers.guests import little_work
from tests.helpers.python_functions import PythonFunctions

HEAD = "def handle(input):\n"
ASYNC = "import asyncio\nasync def handle(input):\n"
TIME_IS_OVER = ("time limit of 1.5s exceeded",)
EITHER_LIMIT = ("limit",)  # of memory on a quick machine, of time on a slow one
# name → (source, expected parts of the error)
FAULTY_CALLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "name": (f"{HEAD}    return inputt\n", ("NameError: name 'inputt' is not defined. Did you mean: 'input'?",)),
    "attribute": (f'{HEAD}    return "a".uper()\n', ("'str' object has no attribute 'uper'. Did you mean: 'upper'?",)),
    "key": (
        f'{HEAD}    return input["x"]\n',
        (
            "KeyError: 'x'\n\nTraceback",
            '  File "function.py", line 2, in handle\n    return input["x"]\n           ~~~',
        ),
    ),
    "cause": (
        f'{HEAD}    try:\n        {{}}["k"]\n    except KeyError as e:\n        raise ValueError("wrapped") from e\n',
        ("ValueError: wrapped", "caused by KeyError: 'k'", "line 3, in handle"),
    ),
    "context": (
        f'{HEAD}    try:\n        {{}}["k"]\n    except KeyError:\n        1 / 0\n',
        ("ZeroDivisionError: division by zero", "while handling KeyError: 'k'"),
    ),
    "own_exception": (
        f'class Bad(Exception): pass\ndef f(n):\n    if n: f(n - 1)\n    raise Bad("worse")\n{HEAD}    f(3)\n',
        ("Bad: worse", "line 6, in handle", "line 3, in f", "line 4, in f"),
    ),
    "library": (
        f'import json\n{HEAD}    return json.loads("{{bad")\n',
        ("json.decoder.JSONDecodeError: Expecting property name", "line 3, in handle"),
    ),
    "note": (
        f'{HEAD}    e = ValueError("x")\n    e.add_note("of the author")\n    raise e\n',
        ("ValueError: x\nof the author",),
    ),
    "str_fails": (f"class E(Exception):\n    def __str__(self): raise ValueError\n{HEAD}    raise E\n", ("E: <exc",)),
    "surrogate": (f'{HEAD}    raise ValueError("\\ud800")\n', ("ValueError: \\ud800",)),
    "assertion": (f'{HEAD}    assert not input, "must"\n    assert input, "must be"\n', ("AssertionError: must be",)),
    "exit": (f"import sys\n{HEAD}    sys.exit(3)\n", ("SystemExit: the function called exit(3); it ends with return",)),
    "raise_exit": (f"{HEAD}    raise SystemExit\n", ("SystemExit: the function called exit()",)),
    "interrupt": (f"{HEAD}    raise KeyboardInterrupt\n", ("KeyboardInterrupt\n\nTraceback",)),
    "recursion": (
        f"def f(n): return f(n + 1)\n{HEAD}    return f(0)\n",
        ("RecursionError: maximum recursion depth exceeded", "[Previous line repeated 9", "line 3, in handle"),
    ),
    "memory": (
        f"{HEAD}    a = []\n    while True: a.append(bytearray(1 << 20))\n",
        ("memory limit of 128 MiB exceeded\n\nTraceback", "line 3, in handle"),
    ),
    "memory_at_once": (f'{HEAD}    return "x" * (1 << 30)\n', ("memory limit of 128 MiB exceeded",)),
    "memory_in_small_pieces": (f"{HEAD}    a = []\n    while True: a = [a, a]\n", EITHER_LIMIT),
    "endless": (f"{HEAD}    while True: pass\n", TIME_IS_OVER),
    "long_sleep": (f"import time\n{HEAD}    time.sleep(100)\n", TIME_IS_OVER),
    "long_async_sleep": (f"{ASYNC}    await asyncio.sleep(100)\n", TIME_IS_OVER),
    "never_settled": (f"{ASYNC}    await asyncio.Future()\n", ("the function awaits something that never completes",)),
    "event_never_set": (f"{ASYNC}    await asyncio.Event().wait()\n", ("awaits something that never completes",)),
    "task": (
        "import asyncio\nasync def g(): await asyncio.sleep(0); 1 / 0\nasync def handle(i): await asyncio.gather(g())\n",
        ("ZeroDivisionError: division by zero", "line 3, in handle", "line 2, in g"),
    ),
    "task_group": (
        f"async def bad(): raise ValueError('x')\n{ASYNC}    async with asyncio.TaskGroup() as t: t.create_task(bad())\n",
        ("ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)\n- ValueError: x",),
    ),
    "set": (
        f'{HEAD}    return {{"a": [{{1, 2}}]}}\n',
        ("Object of type set is not JSON serializable; use sorted() or list() (in list item 0, in dict item 'a')",),
    ),
    "nan": (
        f'{HEAD}    return [1, float("nan")]\n',
        ("the function returned nan, a number that JSON does not have", "None", "in list item 1"),
    ),
    "infinity": (f'{HEAD}    return float("inf")\n', ("the function returned inf", "math.isfinite")),
    "cycle": (f"{HEAD}    a = []\n    a.append(a)\n    return a\n", ("an object that contains itself",)),
    "date": (f"import datetime\n{HEAD}    return datetime.date.today()\n", ("type date", "use .isoformat()")),
    "bytes": (f'{HEAD}    return b"x"\n', ("type bytes", "use .decode() or base64")),
    "tuple_key": (f"{HEAD}    return {{(1, 2): 3}}\n", ("keys must be str, int, float, bool or None, not tuple",)),
    "not_awaited": (f'async def f(): pass\n{HEAD}    return {{"x": f()}}\n', ("it was not awaited",)),
    "thread": (f"import threading\n{HEAD}    threading.Thread(target=print).start()\n", ("functions have no threads",)),
    "to_thread": (f"{ASYNC}    await asyncio.to_thread(print)\n", ("RuntimeError: functions have no threads",)),
    "pool": (
        f"from concurrent.futures import ThreadPoolExecutor\n{HEAD}    ThreadPoolExecutor().submit(print)\n",
        ("functions have no threads",),
    ),
    "open": (f'{HEAD}    open("/etc/passwd")\n', ("functions have no files: '/etc/passwd' cannot be opened",)),
    "path": (f'from pathlib import Path\n{HEAD}    Path("x").write_text("")\n', ("functions have no files",)),
    "listdir": (f'import os\n{HEAD}    os.listdir("/")\n', ("FileNotFoundError",)),
    "socket": (f"import socket\n{HEAD}    socket.socket()\n", ("OSError: functions have no network connections",)),
    "connection": (
        f'import socket\n{HEAD}    socket.create_connection(("127.0.0.1", 80))\n',
        ("functions have no network connections",),
    ),
    "http": (
        f'import urllib.request\n{HEAD}    urllib.request.urlopen("http://example.org")\n',
        ("functions cannot make outbound requests here", "line 3, in handle"),
    ),
    "https": (
        f'import urllib.request\n{HEAD}    urllib.request.urlopen("https://example.org")\n',
        ("functions cannot make outbound requests here", "line 3, in handle"),
    ),
    "https_client": (
        f'import http.client\n{HEAD}    http.client.HTTPSConnection("x").request("GET", "/")\n',
        ("functions cannot make outbound requests here", "line 3, in handle"),
    ),
    "asyncio_connection": (
        f'{ASYNC}    await asyncio.open_connection("example.org", 80)\n',
        ("functions have no network connections",),
    ),
    "subprocess": (f'import subprocess\n{HEAD}    subprocess.run(["ls"])\n', ("functions have no processes",)),
    "lazy_import": (f"{HEAD}    import numpy\n", ("No module named 'numpy': only the standard library is available",)),
    "lazy_ssl": (f"{HEAD}    import ssl\n", ("No module named 'ssl': functions have no network connections",)),
    "multiprocessing": (f"{HEAD}    import multiprocessing\n", ("functions have no processes of their own",)),
    "input": (f"{HEAD}    input and None\n    __builtins__['input']()\n", ("EOFError",)),
    "zone": (f'import zoneinfo\n{HEAD}    zoneinfo.ZoneInfo("Mars/One")\n', ("No time zone found with key Mars/One",)),
    "nested_json": (f'import json\n{HEAD}    json.loads("[" * 100_000)\n', ("stack limit of 1 MiB exceeded",)),
    "nested_repr": (
        f"{HEAD}    x = []\n    for _ in range(100_000): x = [x]\n    repr(x)\n",
        ("stack limit of 1 MiB exceeded",),
    ),
    "nested_calls_of_c": (
        f"def f(n): return sorted([n], key=lambda v: f(v + 1))\n{HEAD}    f(0)\n",
        ("RecursionError: Stack overflow",),
    ),
}


@pytest.mark.parametrize("name", FAULTY_CALLS)
async def test_python_function_explains_a_faulty_call(python: PythonFunctions, name: str) -> None:
    source, expected = FAULTY_CALLS[name]
    await python.image(source)
    limits = python.local.runtime.limits.narrowed(1.5 if expected in {TIME_IS_OVER, EITHER_LIMIT} else None, None)
    with little_work(limits, 1.5):
        error = await python.failure(source, seconds=limits.time)
    for part in expected:
        assert part in error
    assert "<frozen" not in error  # the author's frames only


async def test_python_function_works_after_a_faulty_call(python: PythonFunctions) -> None:
    source = f"{HEAD}    if input.get('fail'): a = []; a.append(a); return a\n    return 1\n"
    for _ in range(5):
        assert "contains itself" in await python.failure(source, b'{"fail": true}')
        assert await python.call(source) == 1
