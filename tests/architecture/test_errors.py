"""Tests that the error tree in the documentation is complete, and that every other exception has a reason."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import faas
from faas.errors import FaasError

# The exceptions that are not FaasErrors. Each is caught by its own package, and never reaches a client or a command.
OUTSIDE_THE_TREE = {
    "GuestFault": "a failure of the guest, which the runtime turns into the result of the execution",
    "RequestFault": "a request that a function cannot be called with; it becomes the result of the execution",
    "MalformedFrame": "a ValueError, which becomes a failure of the guest or of its request",
    "MalformedModule": "bytes are not a module; the reader of image modules turns it into ImageError",
    "ImageError": "a ValueError, which the runtime turns into a refused module",
    "ScanFailed": "the kernel did not scan memory; the instance is thrown away instead of kept",
    "EngineUnavailable": "an engine cannot be used now; the module cache turns it into a refused module",
    "EngineMissing": "an engine is not built; the compilers turn it into a compile error, the runtime passes it on",
    "EvaluationFailed": "raised in the worker process that takes snapshots, which answers its message",
    "MustRunInThread": "a guest on the event loop wants to sleep; the guest runner starts it again in a thread",
    "CallFailed": "carries wasmtime's own exception out of the C API",
    "_ModuleRemoved": "tells the execution service that the module to load is not stored any more",
    "NotJSON": "a ValueError, which callers turn into InvalidRequest, a guest's failure or a usage error",
    "WorkerDied": "a worker process ended; its caller retries the job or logs it",
    "LimitReached": "a worker process exceeded a limit, which its caller turns into a compile error",
    "OneShotFailed": "a one-shot process failed, and its caller keeps the module as it was",
    "RequestFailed": "an outbound request has no answer; the session turns it into a result for the guest",
    "NotHttp": "a server answered an outbound request with something else, which becomes a RequestFailed",
    "ConnectionLost": "a server closed the connection of an outbound request, which is sent again or fails",
    "ErrorResponse": "an answer of the mock Foundry with an error status",
    "_UnusableAnswer": "an answer of Gemini without the content, which its caller turns into EnrichmentFailed",
    "ClientDisconnected": "the client of the mock Foundry closed the connection",
    "_JobFetchFailed": "a request of the keep-alive loop failed, and is made again",
}


def modules() -> Iterator[str]:
    yield "faas"
    yield from (module.name for module in pkgutil.walk_packages(faas.__path__, "faas."))


@pytest.fixture(scope="module")
def exceptions() -> set[type[BaseException]]:
    """All exception classes that faas defines."""
    found: set[type[BaseException]] = set()
    for name in modules():
        module = importlib.import_module(name)
        found |= {
            member
            for member in vars(module).values()
            if isinstance(member, type) and issubclass(member, BaseException) and member.__module__ == name
        }
    return found


def drawn(docstring: str) -> set[tuple[str, str]]:
    """The pairs (class, base class) of the trees in `docstring`."""
    pairs = set()
    ancestors: list[str] = []
    for line in docstring.splitlines():
        if line == FaasError.__name__:
            ancestors = [line]
        elif branch := re.match(r"((?:│   |    )*)[├└]── (\w+)", line):
            depth = len(branch[1]) // 4 + 1
            ancestors = [*ancestors[:depth], branch[2]]
            pairs.add((branch[2], ancestors[depth - 1]))
    return pairs


def subclasses(root: type[BaseException]) -> set[type[BaseException]]:
    direct = set(root.__subclasses__())
    return direct.union(*(subclasses(kind) for kind in direct))


def test_error_tree_is_drawn_completely(exceptions: set[type[BaseException]]) -> None:
    errors_modules = [name for name in modules() if name.rpartition(".")[2] == "errors"]
    assert "faas.errors" in errors_modules
    trees = [drawn(importlib.import_module(name).__doc__ or "") for name in errors_modules]
    found = {(kind.__name__, base.__name__) for kind in subclasses(FaasError) for base in kind.__bases__}
    assert set().union(*trees) == found
    assert subclasses(FaasError) <= exceptions


def test_exception_outside_the_error_tree_has_a_reason(exceptions: set[type[BaseException]]) -> None:
    outside = {kind.__name__ for kind in exceptions if not issubclass(kind, FaasError)}
    assert outside == set(OUTSIDE_THE_TREE)


def test_drawn_reads_nested_branches() -> None:
    tree = "FaasError\n├── A   text\n│   └── B\n└── C\n    └── D"
    assert drawn(tree) == {("A", "FaasError"), ("B", "A"), ("C", "FaasError"), ("D", "C")}
