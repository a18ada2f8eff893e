"""The entry points of the engine: `compile_source` and `load` make a function of a source, `handle` calls it.

Each gets a header of the host, a part of bytes and a text, and returns a text or bytes: `compile_source` code as bytes,
`load` the contract and `handle` the output as text. A failure is the other kind. The part of bytes of `compile_source`
is the configuration, that of `load` the code, and that of `handle` the secrets.
"""

import ast
import asyncio
import gc
import inspect
import json
import marshal
import sys
from collections.abc import Callable
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR
from types import CoroutineType, FunctionType, ModuleType
from typing import Any

from . import console, environment, failures, lambda_context, output, randomness
from .event_loop import EventLoop

_SEED, _EXECUTION_ID = slice(0, 16), slice(16, 32)  # of a header
HANDLE, LAMBDA_HANDLER = "handle", "lambda_handler"
_PARAMETERS = {HANDLE: ("input",), LAMBDA_HANDLER: ("event", "context")}
_CONTRACTS = {HANDLE: "json", LAMBDA_HANDLER: "lambda"}
TOO_DEEP = "SyntaxError: the source is nested too deeply to be compiled"
_USUAL_NAMES = ("handler", "main")

_decode = json.JSONDecoder().decode
_call: Callable[[Any, bytes], Any] | None = None


class _FaultyModule(Exception):
    """Raised when the module defines no function that can be called. The message is complete."""


def compile_source(_header: bytes, configuration: bytes, source: str) -> bytes | str:
    """Compile `source`. `configuration` is a JSON object of what the function sees: `env`, and names of `secrets`."""
    try:
        failures.source = source.removeprefix("\ufeff")
        code = compile(failures.source, failures.FILE, "exec", dont_inherit=True, optimize=0)
        configured = json.loads(configuration) if configuration else {"env": {}, "secrets": []}
        positions = failures.positions_of(ast.parse(failures.source))
        return marshal.dumps((configured, failures.source, positions, code))
    except (MemoryError, RecursionError):  # of the parser, which does not look at the memory
        return TOO_DEEP
    except BaseException as error:
        return failures.describe(error, with_place=True)
    finally:
        console.end_lines()


def load(_header: bytes, compiled: bytes, _text: str) -> str | bytes:
    """Evaluate the top level of a module that `compile_source` compiled, and return its contract."""
    global _call
    try:
        configured, failures.source, failures.positions, code = marshal.loads(compiled)
        environment.configure(configured["env"], configured["secrets"])
        module = ModuleType("function")
        module.__file__ = failures.FILE
        sys.modules["function"] = module
        exec(code, module.__dict__)
        name = _entry_name(module)
        _call = _caller(name, getattr(module, name))
        return _CONTRACTS[name]
    except _FaultyModule as fault:
        return str(fault).encode()
    except BaseException as error:
        return failures.describe(error, with_place=True).encode()
    finally:
        console.end_lines()
        gc.freeze()


def handle(header: bytes, secrets: bytes, document: str) -> str | bytes:
    """Call the function with a JSON document; return its result as JSON. `secrets` is a JSON object, or empty."""
    randomness.begin_call(header[_SEED])
    if secrets:
        environment.begin_call(secrets)
    try:
        assert _call
        result = _call(_decode(document), header)
        if type(result) is CoroutineType or inspect.isawaitable(result):
            result = asyncio.run(_awaited(result), loop_factory=EventLoop)  # type: ignore[call-arg]
        return output.to_json(result)
    except BaseException as error:
        return failures.describe(error).encode()
    finally:
        console.end_lines()


def forget() -> None:
    """Return to the state before the first function."""
    global _call
    _call = None
    failures.source, failures.positions = "", {}


async def _awaited(result: Any) -> Any:
    return await result


def _entry_name(module: ModuleType) -> str:
    found = [name for name in _CONTRACTS if hasattr(module, name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise _FaultyModule(
            "the module defines both `handle` and `lambda_handler`: only one of them can decide how it is called"
            f"{_place(found[-1])}"
        )
    others = [
        name
        for name, value in vars(module).items()
        if isinstance(value, FunctionType) and value.__module__ == "function" and not name.startswith("_")
    ]
    message = (
        "the module defines no function to call: write `def handle(input):`, or `def lambda_handler(event, context):`"
    )
    if not others:
        raise _FaultyModule(message)
    name = next((name for name in _USUAL_NAMES if name in others), others[-1])
    raise _FaultyModule(f"{message}, or rename `{name}`{_place(name)}")


def _caller(name: str, function: Any) -> Callable[[Any, bytes], Any]:
    """Return how the function is called. Raises _FaultyModule when it cannot be."""
    if not callable(function):
        raise _FaultyModule(f"`{name}` is not a function but of type {type(function).__name__}{_place(name)}")
    if getattr(getattr(function, "__code__", None), "co_flags", 0) & (CO_GENERATOR | CO_ASYNC_GENERATOR):
        raise _FaultyModule(f"`{name}` is a generator: return a list instead of using yield{_place(name)}")
    parameters = _PARAMETERS[name]
    if type(function) is not FunctionType or not _accepts(function, len(parameters)):
        try:
            inspect.signature(function).bind(*parameters)
        except TypeError as error:
            wanted = f"{len(parameters)} argument{'s' if len(parameters) > 1 else ''}, ({', '.join(parameters)})"
            raise _FaultyModule(f"`{name}` must accept {wanted}: {error}{_place(name)}") from None
        except ValueError:  # a built-in function without a signature
            pass
    if name == HANDLE:
        return lambda document, _header: function(document)
    return lambda document, header: function(document, lambda_context.LambdaContext(header[_EXECUTION_ID]))


def _accepts(function: FunctionType, arguments: int) -> bool:
    """Return True where this is certain without inspect.signature, which would add a lot to every image."""
    code = function.__code__
    required = code.co_argcount - len(function.__defaults__ or ())
    return required <= arguments <= code.co_argcount and not code.co_kwonlyargcount


def _place(name: str) -> str:
    line, column = failures.positions.get(name, (1, 1))
    return f" ({failures.FILE}:{line}:{column})"
