"""Tests that only listed handlers stop exceptions of any type."""

import ast
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src" / "faas"
BROAD = {"Exception", "BaseException"}

# File → the reason of each handler in it, in the order of their lines. Handlers that clean up and raise the same
# exception again need no reason.
ALLOWED = {
    "api/endpoint.py": ["a request: problems.py logs and answers what it does not know"] * 2,
    "api/invocation.py": ["a request: problems.py logs and answers what it does not know"] * 2,
    "bootstrap/background_tasks.py": ["shutdown: the failure of the task was logged when it happened"],
    "compute_module/cli/supervisor.py": ["the command: prints no exception unredacted"],
    "compute_module/mock_foundry/app.py": ["a request to the mock Foundry: logged, answered with 500"],
    "compute_module/pipeline/local_run.py": ["a reader thread: raised again where its rows are consumed"],
    "doctor/diagnosis.py": ["a check: its failure is the finding"],
    "executions/batching.py": ["a batch: handed to each of its submitters"],
    "executions/service.py": ["loading a module: logged, and recorded as the execution's error"],
    "functions/engine_upgrade.py": ["a run: logged; the next one tries again"],
    "outbound/session.py": ["an outbound request: logged; the guest gets a failure"],
    "queue/consumer.py": [
        "a read of the queue: logged; the consumer keeps running",
        "a message: logged; it is redelivered",
        "extending the visibility timeout: logged; the message is redelivered when it ends",
    ],
    "runtime/module_cache.py": ["another caller's failed load: this caller loads the module itself"],
    "runtime/guest_runner.py": ["a guest: logged, and recorded as the execution's error"],
    "runtime/host_context.py": [
        "a host function: no exception may pass through wasmtime's C frames; raised after the call"
    ],
    "sandbox/pool.py": ["killing a worker process that did not start: the error of its start is raised"],
}


def names(expression: ast.expr | None) -> set[str]:
    """The names in the type of a handler; that of a bare `except:` is BaseException."""
    if expression is None:
        return {"BaseException"}
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


def raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether the handler ends with `raise` and has no other way out."""
    last = handler.body[-1]
    leaves = any(isinstance(node, ast.Return | ast.Continue | ast.Break) for node in ast.walk(handler))
    return isinstance(last, ast.Raise) and last.exc is None and not leaves


def stops_any_exception(node: ast.AST) -> bool:
    if isinstance(node, ast.ExceptHandler):
        return bool(names(node.type) & BROAD) and not raises_again(node)
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
        return any(names(argument) & BROAD for argument in node.args)
    return False


def broad_handlers(source: str) -> list[int]:
    """The lines of handlers and of `suppress` that stop an exception of any type."""
    return sorted(node.lineno for node in ast.walk(ast.parse(source)) if stops_any_exception(node))  # type: ignore[attr-defined]


def test_broad_excepts_are_those_of_the_list() -> None:
    found = {str(file.relative_to(SOURCES)): broad_handlers(file.read_text()) for file in SOURCES.rglob("*.py")}
    counts = {name: len(lines) for name, lines in found.items() if lines}
    assert counts == {name: len(reasons) for name, reasons in ALLOWED.items()}, found


@pytest.mark.parametrize(
    "handler",
    ["except Exception:", "except BaseException as error:", "except:", "except (OSError, Exception):"],
)
def test_broad_handlers_finds_each_form(handler: str) -> None:
    assert broad_handlers(f"try:\n    pass\n{handler}\n    pass") == [3]
    assert broad_handlers("with contextlib.suppress(OSError, Exception):\n    pass") == [1]
    assert broad_handlers(f"try:\n    pass\n{handler}\n    if x: return\n    raise") == [3]


@pytest.mark.parametrize(
    "code", ["except OSError:\n    pass", "except Exception:\n    log()\n    raise", "finally:\n    pass"]
)
def test_broad_handlers_ignores_narrow_handlers_and_cleanup(code: str) -> None:
    assert broad_handlers(f"try:\n    pass\n{code}") == []
