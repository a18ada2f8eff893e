"""What functions in Python can do, and that no call sees anything of another."""

import math
import time
import uuid

import msgspec
import pytest
from uuid_utils.compat import uuid7

from tests.helpers.python_functions import PythonFunctions

COUNTING = """
import collections
COUNT, SEEN = [0], collections.Counter()
class State: pass
def handle(input):
    COUNT[0] += 1
    SEEN.update(["call"])
    State.attribute = getattr(State, "attribute", 0) + 1
    globals()["made"] = globals().get("made", 0) + 1
    import json
    json.counter = getattr(json, "counter", 0) + 1
    return [COUNT[0], SEEN["call"], State.attribute, made, json.counter]
"""
RANDOM = """
import os, random, secrets, uuid
OWN, FIXED = random.Random(), random.Random(5)
def handle(input):
    from random import getrandbits
    return [random.random(), random.randint(1, 10**9), getrandbits(64), OWN.random(), secrets.token_hex(8),
            str(uuid.uuid4()), os.urandom(8).hex(), random.SystemRandom().random(), random.Random().random(),
            random.sample(range(10**6), 3), FIXED.random()]
"""
# Of the standard library: what functions import, loaded with the engine or from the shelf.
MODULES = [
    "abc", "argparse", "array", "ast", "asyncio", "base64", "binascii", "bisect", "calendar", "cmath", "codecs",
    "collections.abc", "colorsys", "concurrent.futures", "configparser", "contextlib", "contextvars", "copy", "csv",
    "dataclasses", "datetime", "decimal", "difflib", "email.message", "email.mime.text", "email.utils", "enum",
    "errno", "fnmatch", "fractions", "functools", "gc", "getpass", "gettext", "glob", "graphlib", "gzip", "hashlib",
    "heapq", "hmac", "html.parser", "http", "http.client", "http.cookies", "imaplib", "importlib",
    "importlib.metadata", "importlib.resources", "inspect", "io", "ipaddress", "itertools", "json", "keyword",
    "linecache", "locale", "logging.config", "logging.handlers", "mimetypes", "numbers", "operator", "optparse",
    "os", "pathlib", "pickle", "pkgutil", "platform", "plistlib", "posixpath", "pprint", "profile", "queue",
    "quopri", "random", "re", "reprlib", "sched", "secrets", "select", "selectors", "shelve", "shlex", "shutil",
    "signal", "smtplib", "socket", "sqlite3", "stat", "statistics", "string", "string.templatelib", "stringprep",
    "struct", "subprocess", "symtable", "sys", "sysconfig", "tarfile", "tempfile", "textwrap", "threading", "time",
    "timeit", "token", "tokenize", "tomllib", "traceback", "types", "typing", "unicodedata", "unittest.mock",
    "urllib.error", "urllib.parse", "urllib.request", "urllib.robotparser", "uuid", "warnings", "wave", "weakref",
    "wsgiref.util", "xml.dom.minidom", "xml.etree.ElementTree", "xml.sax", "xmlrpc.client", "zipfile", "zlib",
    "zoneinfo", "annotationlib", "_pydecimal",
]  # fmt: skip


DECORATED = """
import functools
def decorator(function):
    @functools.wraps(function)
    def call(*arguments, **options):
        return function(*arguments, **options)
    return call
@decorator
def handle(input):
    return input
"""


async def test_python_function_keeps_no_state(python: PythonFunctions) -> None:
    for _ in range(6):
        assert await python.call(COUNTING) == [1, 1, 1, 1, 1]


async def test_python_function_gets_new_randomness_in_each_call(python: PythonFunctions) -> None:
    calls = [await python.call(RANDOM) for _ in range(6)]
    *fresh, fixed = zip(*calls, strict=True)
    for values in fresh:
        assert len({str(value) for value in values}) == len(calls)
    assert len(set(fixed)) == 1  # its author gave it a seed
    assert all(uuid.UUID(str(call[5])).version == 4 for call in calls)


async def test_python_function_may_seed_the_shared_generator(python: PythonFunctions) -> None:
    source = "def handle(input):\n    import random\n    random.seed(7)\n    return random.random()\n"
    assert await python.call(source) == await python.call(source)


async def test_python_function_sees_the_time(python: PythonFunctions) -> None:
    source = (
        "import time, datetime\nSTART = time.time()\n"
        "def handle(input):\n"
        "    return [START, time.time(), datetime.datetime.now(datetime.UTC).timestamp(), time.tzname[0]]\n"
    )
    for _ in range(2):
        top_level, now, also, zone = await python.call(source)
        assert top_level == 0  # fixed: the top level is evaluated once
        assert abs(now - time.time()) < 30
        assert abs(also - now) < 1
        assert zone == "UTC"


async def test_python_function_sleeps(python: PythonFunctions) -> None:
    source = "import time\ndef handle(input):\n    time.sleep(0.08)\n    return 1\n"
    for _ in range(6):  # also after the policy would run it on the event loop
        began = time.perf_counter()
        assert await python.call(source) == 1
        assert time.perf_counter() - began >= 0.08


async def test_python_coroutines_sleep_at_the_same_time(python: PythonFunctions) -> None:
    source = (
        "import asyncio, time\nasync def handle(input):\n    began = time.monotonic()\n"
        "    await asyncio.gather(*(asyncio.sleep(0.1) for _ in range(10)))\n    return time.monotonic() - began\n"
    )
    assert 0.1 <= float(str(await python.call(source))) < 0.6


async def test_python_numbers_are_exact(python: PythonFunctions) -> None:
    source = (
        "def handle(input): return [input['n'], input['n'] + 1, input['f'], 0.1 + 0.2, -0.0, 1e22, 5e-324, 2**64]\n"
    )
    outcome = await python.outcome(source, b'{"n": 123456789012345678901234567890, "f": 2.2250738585072014e-308}')
    assert outcome.output == (
        b"[123456789012345678901234567890,123456789012345678901234567891,2.2250738585072014e-308,"
        b"0.30000000000000004,-0.0,1e+22,5e-324,18446744073709551616]"
    )


async def test_python_integers_may_be_very_long(python: PythonFunctions) -> None:
    digits = "7" * 6000
    outcome = await python.outcome("def handle(input): return input['n'] + 1", f'{{"n": {digits}}}'.encode())
    assert outcome.output == f"{digits[:-1]}8".encode()


async def test_python_keeps_the_order_of_keys(python: PythonFunctions) -> None:
    outcome = await python.outcome("def handle(input): return input", b'{"b": 1, "a": {"z": 1, "y": 2}, "c": []}')
    assert outcome.output == b'{"b":1,"a":{"z":1,"y":2},"c":[]}'


async def test_python_escapes_unpaired_surrogates(python: PythonFunctions) -> None:
    outcome = await python.outcome('def handle(input): return ["\\ud800", "é世\\U0001f600"]')
    assert outcome.output == b'["\\ud800","\\u00e9\\u4e16\\ud83d\\ude00"]'
    outcome = await python.outcome('def handle(input): return "é世\\U0001f600"')
    assert outcome.output == '"é世😀"'.encode()


async def test_python_function_takes_and_returns_large_documents(python: PythonFunctions) -> None:
    text = "é" * (3 << 20)  # 6 MiB less a little of JSON
    document = msgspec.json.encode({"text": text[:-20]})
    outcome = await python.outcome("def handle(input): return input", document)
    assert outcome.output == document
    error = await python.failure("def handle(input): return 'x' * (7 << 20)")
    assert error.startswith("output limit of 6 MiB exceeded")


async def test_python_logs_are_lines(python: PythonFunctions) -> None:
    source = (
        "import logging, sys\nprint('at top level')\ndef handle(input):\n    print('a', {'b': 1})\n"
        "    print('no', end='')\n    print(' newline', end='')\n    print('to stderr', file=sys.stderr)\n"
        "    logging.warning('careful %d', 5)\n    logging.info('hidden')\n    sys.stdout.buffer.write(b'\\nbytes\\n')\n"
        "    print('\\ud800 end', end='')\n"
    )
    logs = (await python.outcome(source)).logs
    assert logs is not None
    assert logs.split("\n") == [
        "a {'b': 1}",
        "error: to stderr",
        "warn: WARNING:root:careful 5",
        "no newline",
        "bytes",
        "\\ud800 end",
    ]


async def test_python_logger_without_a_handler_writes_what_its_level_admits(python: PythonFunctions) -> None:
    """As in AWS Lambda, whose functions set the level of the root logger and add no handler."""
    source = (
        "import logging\nlogger = logging.getLogger()\nlogger.setLevel(logging.INFO)\ndef handle(input):\n"
        "    logger.info('shown')\n    logging.getLogger('child').info('of a child')\n    logger.debug('hidden')\n"
    )
    assert (await python.outcome(source)).logs == "info: shown\ninfo: of a child"
    configured = source.replace("def", "logging.basicConfig(format='%(levelname)s %(message)s')\ndef")
    assert (await python.outcome(configured)).logs == "info: INFO shown\ninfo: INFO of a child"
    levels = source.replace("'shown'", "'one\\ntwo'").replace("logger.debug('hidden')", "logger.critical('lost')")
    assert (await python.outcome(levels)).logs == "info: one\ninfo: two\ninfo: of a child\nerror: lost"
    default = source.replace("logger.setLevel(logging.INFO)\n", "")
    assert not (await python.outcome(default)).logs


async def test_python_logs_of_a_failed_call_are_kept(python: PythonFunctions) -> None:
    outcome = await python.outcome("def handle(input):\n    print('before')\n    while True: pass\n", seconds=1.5)
    assert (outcome.error, outcome.logs) == ("time limit of 1.5s exceeded", "before")


async def test_python_knows_time_zones(python: PythonFunctions) -> None:
    source = (
        "import datetime, zoneinfo\ndef handle(input):\n"
        "    at = datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo(input['zone']))\n"
        "    return [at.utcoffset().total_seconds(), at.tzname(), len(zoneinfo.available_timezones())]\n"
    )
    offset, name, count = await python.call(source, {"zone": "Europe/Berlin"})
    assert (offset, name) == (7200, "CEST")
    assert count > 500


@pytest.mark.parametrize("prefix", ["", "async "])
async def test_python_lambda_handler_gets_its_context(python: PythonFunctions, prefix: str) -> None:
    source = (
        f"{prefix}def lambda_handler(event, context):\n"
        "    return [event, context.aws_request_id, context.get_remaining_time_in_millis(), context.function_version]\n"
    )
    first, second = [await python.call(source, {"a": 1}) for _ in range(2)]
    event, request_id, milliseconds, version = first
    assert event == {"a": 1}
    assert uuid.UUID(request_id).version == 4
    assert request_id != second[1]
    assert 58_500 < milliseconds <= 60_000
    assert version == "$LATEST"


async def test_python_lambda_request_id_is_the_id_of_the_execution(python: PythonFunctions) -> None:
    """In the first calls, which have fresh instances, and in later ones, whose instance is restored."""
    source = "def lambda_handler(event, context):\n    return context.aws_request_id\n"
    ids = [uuid7() for _ in range(8)]
    outcomes = [await python.outcome(source, execution_id=execution_id) for execution_id in ids]
    assert [outcome.output for outcome in outcomes] == [f'"{execution_id}"'.encode() for execution_id in ids]


async def test_python_function_may_be_any_callable(python: PythonFunctions) -> None:
    for source in (
        "class Handler:\n    def __call__(self, input): return input\nhandle = Handler()\n",
        "import functools\nhandle = functools.partial(lambda extra, input: input, 1)\n",
        DECORATED,
        "def handle(input, limit=5): return input\n",
        "def handle(*args): return args[0]\n",
        "handle = lambda input: input\n",
    ):
        assert await python.call(source, {"a": 1}) == {"a": 1}


async def test_python_source_may_begin_with_a_byte_order_mark(python: PythonFunctions) -> None:
    assert await python.call("\ufeff# -*- coding: latin-1 -*-\ndef handle(input): return 'é'\n") == "é"


async def test_python_main_guard_is_not_run(python: PythonFunctions) -> None:
    assert (
        await python.call("def handle(i): return __name__\nif __name__ == '__main__': raise SystemExit\n") == "function"
    )


async def test_python_database_in_memory(python: PythonFunctions) -> None:
    source = (
        "import sqlite3\ndef handle(input):\n    c = sqlite3.connect(':memory:')\n    c.execute('create table t(a)')\n"
        "    c.executemany('insert into t values (?)', [(i,) for i in range(100)])\n"
        "    return c.execute('select sum(a) from t').fetchone()[0]\n"
    )
    assert await python.call(source) == 4950


async def test_python_standard_library_can_be_imported(python: PythonFunctions) -> None:
    source = (
        "import importlib\ndef handle(input):\n    failed = {}\n    for name in input['names']:\n"
        "        try: importlib.import_module(name)\n"
        "        except BaseException as error: failed[name] = repr(error)\n    return failed\n"
    )
    half = math.ceil(len(MODULES) / 4)
    for start in range(0, len(MODULES), half):
        assert await python.call(source, {"names": MODULES[start : start + half]}) == {}


async def test_python_images_are_small_and_reproducible(python: PythonFunctions) -> None:
    source = "def handle(input): return 'reproducible'\n"
    first = await python.image(source)
    again = await python.local.compilers["python"].compile(source)
    assert getattr(again, "binary", None) == first
    assert len(first) < 32 << 10
