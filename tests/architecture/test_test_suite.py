"""Tests of the test suite itself: names of tests, imports between test modules, and where helpers are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

# A test is called test_<unit>_<behaviour>. These words begin a sentence, not the name of a unit.
FIRST_WORDS = {"a", "an", "the", "what", "whatever", "who", "whoever", "it", "nothing", "nobody", "somebody", "where"}
FORBIDDEN_WORDS = {"nobody", "nobodys", "somebody", "whoever", "anew", "lest", "ever", "meanwhile"}

# The modules outside tests/helpers that tests import: data of one suite.
LOCAL_MODULES = {
    "integration/hostile": {"binaries", "modules", "outcomes", "sources"},
    "smoke": {"enclosure", "package_index", "process"},
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(TESTS.rglob("*.py")):
        yield str(file.relative_to(TESTS)), ast.parse(file.read_text())


def names_of_tests(tree: ast.Module) -> list[str]:
    """The names of the tests of a module."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [node.name for node in functions if node.name.startswith("test_")]


def name_faults(name: str) -> set[str]:
    words = name.split("_")[1:]
    return (set(words[:1]) & FIRST_WORDS) | (set(words) & FORBIDDEN_WORDS)


def imported_test_modules(tree: ast.Module) -> set[str]:
    """The test modules and conftests that a module imports."""
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    return {name for name in names if re.match(r"tests\..*\b(test_\w+|conftest)$", name)}


def test_test_names_begin_with_the_unit() -> None:
    faults = {
        f"{path}::{name}": name_faults(name)
        for path, tree in modules()
        for name in names_of_tests(tree)
        if name_faults(name)
    }
    assert faults == {}


def test_test_modules_are_not_imported() -> None:
    imports = {path: found for path, tree in modules() if (found := imported_test_modules(tree))}
    assert imports == {}


def test_helpers_are_in_tests_helpers() -> None:
    strays = [
        path
        for path in (file.relative_to(TESTS) for file in TESTS.rglob("*.py"))
        if path.parts[0] != "helpers"
        and not path.name.startswith("test_")
        and path.name not in {"__init__.py", "conftest.py"}
        and path.stem not in LOCAL_MODULES.get(str(path.parent), set())
    ]
    assert strays == []


@pytest.mark.parametrize(("name", "fault"), [("test_a_server_stops", "a"), ("test_server_waits_for_nobody", "nobody")])
def test_name_faults_finds_sentences(name: str, fault: str) -> None:
    assert name_faults(name) == {fault}
    assert name_faults("test_graceful_shutdown_drains_executions") == set()


def test_imported_test_modules_finds_both_forms() -> None:
    code = "from tests.unit.test_x import call\nimport tests.e2e.conftest\nfrom tests.helpers.support import wat"
    assert imported_test_modules(ast.parse(code)) == {"tests.unit.test_x", "tests.e2e.conftest"}
