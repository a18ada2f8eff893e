"""Attempts of a function to leave something for its next call, or to find something of an earlier one.

Each attempt writes in one call and looks in the next, often enough that the instance is one that is kept and restored.
"""

import pytest

from tests.helpers.python_functions import PythonFunctions

ROUNDS = 12
# name → (how to leave `secret`, an expression that finds it). Names of the module are free to use.
ATTEMPTS = {
    "global": ("global KEPT; KEPT = secret", "globals().get('KEPT')"),
    "mutable_global": ("LIST.append(secret)", "LIST"),
    "default_argument": ("default(secret)", "default()"),
    "class_attribute": ("Class.attribute = secret", "getattr(Class, 'attribute', None)"),
    "function_attribute": ("handle.kept = secret", "getattr(handle, 'kept', None)"),
    "closure": ("closure(secret)", "closure()"),
    "generator": ("GENERATOR.send(secret)", "GENERATOR.send('nothing')"),
    "lru_cache": ("cached(secret)", "cached.cache_info().currsize"),
    "builtins": ("builtins.kept = secret", "getattr(builtins, 'kept', None)"),
    "replaced_builtin": ("builtins.len = lambda _: secret", "len('')"),
    "module": ("json.kept = secret", "getattr(json, 'kept', None)"),
    "replaced_function": ("json.loads = lambda _: secret", "json.loads('0')"),
    "new_module": ("sys.modules['kept'] = secret", "sys.modules.get('kept')"),
    "sys": ("sys.kept = secret", "getattr(sys, 'kept', None)"),
    "environment": ("os.environ['KEPT'] = secret", "os.environ.get('KEPT')"),
    "intern": ("sys.intern(secret)", "secret_in_objects()"),
    "context_variable": ("VARIABLE.set(secret)", "VARIABLE.get(None)"),
    "thread_local": ("LOCAL.kept = secret", "getattr(LOCAL, 'kept', None)"),
    "regular_expression_cache": ("re.compile(secret)", "[key for key in re._cache if 'secret' in str(key)]"),
    "codec": ("codecs.register(lambda name: KEEP(secret))", "found_by_codec()"),
    "logging": ("logging.getLogger(secret)", "[n for n in logging.Logger.manager.loggerDict if 'secret' in n]"),
    "warnings": ("warnings.filters.append(secret)", "[f for f in warnings.filters if 'secret' in str(f)]"),
    "atexit": ("atexit.register(print, secret)", "atexit._ncallbacks() != CALLBACKS"),
    "exit_hook": ("sys.excepthook = lambda *_: secret", "sys.excepthook.__name__ == '<lambda>'"),
    "trace": ("sys.settrace(lambda *_: None)", "sys.gettrace()"),
    "profile": ("sys.setprofile(lambda *_: None)", "sys.getprofile()"),
    "recursion_limit": ("sys.setrecursionlimit(5000)", "sys.getrecursionlimit() != 1000"),
    "meta_path": ("sys.meta_path.append(secret)", "[f for f in sys.meta_path if f == f'{secret}']"),
    "finalizer": ("KEEP(Finalized(secret))", "LIST"),
    "weak_reference": ("weakref.finalize(KEEP(Class()), LIST.append, secret)", "LIST"),
    "database": (
        "DATABASE.execute('insert into t values (?)', [secret])",
        "DATABASE.execute('select * from t').fetchall()",
    ),
    "random_state": ("random.seed(1)", "random.random() == FIRST_OF_SEED_1"),
    "decimal_context": ("decimal.getcontext().prec = 3", "decimal.getcontext().prec != 28"),
    "locale": ("setattr(time, 'tzname', (secret, secret))", "time.tzname != ('UTC', 'UTC')"),
    "stdout": ("print(secret, end='')", "sys.stdout._line"),
    "replaced_stdout": ("sys.stdout = io.StringIO(); print(secret)", "isinstance(sys.stdout, io.StringIO)"),
    "exception": ("fail(secret)", "sys.exc_info()[0] or getattr(sys, 'last_exc', None)"),
    "event_loop": ("asyncio.events._set_running_loop(asyncio.new_event_loop())", "asyncio.events._get_running_loop()"),
    "free_memory": ("bytearray(secret.encode() * 100_000)", "secret_in_new_memory()"),
    "objects": ("KEEP({secret: secret})", "secret_in_objects()"),
    "garbage": ("cycle(secret)", "secret_in_objects()"),
    "engine": ("sys.modules['_faas.engine'].kept = secret", "getattr(sys.modules['_faas.engine'], 'kept', None)"),
    "replaced_engine": ("sys.modules['_faas.engine'].handle = None", "sys.modules['_faas.engine'].handle is None"),
}
PREFIX = """
import array, asyncio, atexit, builtins, codecs, contextvars, decimal, functools, gc, io, json, logging, os, random, re
import sqlite3, sys, threading, time, warnings, weakref
LIST, LOCAL, VARIABLE = [], threading.local(), contextvars.ContextVar("kept")
KEPT_OBJECTS = []
def KEEP(value): KEPT_OBJECTS.append(value); return value
def default(value=None, kept=[]):
    if value is not None: kept.append(value)
    return kept
class Class: pass
class Finalized:
    def __init__(self, value): self.value = value
    def __del__(self): LIST.append(self.value)
def make_closure():
    kept = None
    def closure(value=None):
        nonlocal kept
        found, kept = kept, value or kept
        return found
    return closure
closure = make_closure()
def generator():
    found = None
    while True: found = yield found and "secret" in found and found
GENERATOR = generator(); next(GENERATOR)
@functools.lru_cache(None)
def cached(value): return value
DATABASE = sqlite3.connect(":memory:"); DATABASE.execute("create table t(a)")
CALLBACKS = atexit._ncallbacks()
FIRST_OF_SEED_1 = random.Random(1).random()
def cycle(value): a = [value]; a.append(a)
def fail(value):
    try: raise ValueError(value)
    except ValueError as error: sys.last_exc = error
def found_by_codec():
    try: codecs.lookup("not_a_codec")
    except LookupError: pass
    return KEPT_OBJECTS
def secret_in_objects():
    return sum("secret-of" in str(item)[:200] for item in gc.get_objects() if type(item) in (dict, list, tuple) and len(item) < 5)
def secret_in_new_memory():
    for size in (100, 1000, 10_000, 1_000_000):
        for _ in range(20):
            if b"secret-of" in bytes(bytearray(size)) or b"secret-of" in array.array("B", bytes(size)).tobytes(): return True
"""


def source_of(leave: str, find: str) -> str:
    return (
        f"{PREFIX}\ndef handle(input):\n    secret = input.get('secret')\n    if secret:\n        {leave}\n"
        f"        return None\n    return bool({find})\n"
    )


@pytest.mark.parametrize("name", ATTEMPTS)
async def test_python_function_finds_nothing_of_its_earlier_calls(python: PythonFunctions, name: str) -> None:
    source = source_of(*ATTEMPTS[name])
    assert await python.call(source) is False
    for number in range(ROUNDS):
        outcome = await python.outcome(source, f'{{"secret": "secret-of-{number}"}}'.encode())
        assert outcome.error is None or "replaced" in name, outcome.error
        assert await python.call(source) is False


async def test_python_function_finds_nothing_of_another_function(python: PythonFunctions) -> None:
    writer = source_of("KEEP([secret] * 1000); LIST.append(bytearray(secret.encode() * 50_000))", "False")
    reader = source_of("pass", "secret_in_objects() or secret_in_new_memory()")
    for number in range(ROUNDS):
        await python.call(writer, {"secret": f"secret-of-{number}"})
        assert await python.call(reader) is False


@pytest.mark.parametrize("ending", ["1 / 0", "raise SystemExit", "(lambda f: f(f))(lambda f: f(f))", "bytearray(1 << 30)", "x = []\n        while True: x.append([x])", "import time; time.sleep(9)"])  # fmt: skip
async def test_python_function_finds_nothing_of_a_failed_call(python: PythonFunctions, ending: str) -> None:
    source = source_of(f"LIST.append(secret); KEEP(secret)\n        {ending}", "LIST or KEPT_OBJECTS")
    for number in range(3):
        document = f'{{"secret": "secret-of-{number}"}}'.encode()
        await python.failure(source, document, seconds=1.5 if "sleep" in ending else None)
        assert await python.call(source) is False
