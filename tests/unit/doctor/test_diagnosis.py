"""How the checks are run: none hangs, none ends the others, and the document lists each."""

import re
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from faas.database.pool import MINIMUM_POSTGRES_MAJOR
from faas.doctor import GROUPS, Finding, Group, diagnose, diagnosis
from faas.doctor.clock import EARLIEST_YEAR, LATEST_YEAR, STEP_SECONDS
from faas.doctor.database_facts import CLOCK_DIFFERENCE_SECONDS
from faas.doctor.disk import FAIL_FREE_BYTES, WARN_FREE_BYTES
from faas.doctor.finding import ok
from faas.doctor.installation import OLDEST_PYTHON
from faas.doctor.limits import (
    COMPILER_THREADS,
    FAIL_ADDRESS_SPACE_BYTES,
    MAIN_STACK_BYTES,
    OWN_DESCRIPTORS,
    OWN_PROCESSES,
    POOL_ADDRESS_SPACE_BYTES,
)
from faas.doctor.memory import FAIL_MEMORY_BYTES, WARN_MEMORY_BYTES
from faas.doctor.shown import show_size
from faas.settings import Settings
from faas.shares import COMPILER_ROLE_CONNECTIONS, OWN_CONNECTIONS

DOCUMENT = Path(__file__).parent.parent.parent.parent / "docs" / "reference" / "doctor.md"


def install(monkeypatch: pytest.MonkeyPatch, name: str, check: object) -> Group:
    module = types.ModuleType(f"faas.doctor.{name}")
    module.__dict__["check"] = check
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return Group(name, ("first", "second"))


def test_diagnose_gives_up_a_check_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "TIMEOUT_SECONDS", 0.3)
    release = threading.Event()

    def hanging(_: Settings) -> Iterator[Finding]:
        yield ok("first", "quick")
        release.wait(30)

    began = time.monotonic()
    found = diagnose(Settings(), [install(monkeypatch, "hanging", hanging)])
    release.set()
    assert time.monotonic() - began < 5
    assert not found.complete
    assert found.status == "FAIL"
    assert [(finding.check, finding.status) for finding in found.findings][-1] == ("second", "FAIL")
    assert "no result within" in found.findings[-1].finding


def test_diagnose_check_that_raises_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Settings) -> Iterator[Finding]:
        raise RuntimeError("postgresql://app:s3cret@db")

    def working(_: Settings) -> Iterator[Finding]:
        yield ok("first", "fine")

    groups = [install(monkeypatch, "broken", broken), install(monkeypatch, "working", working)]
    found = diagnose(Settings(), groups)
    assert [finding.status for finding in found.findings] == ["FAIL", "OK"]
    assert found.findings[0].finding == "the check itself failed: RuntimeError"  # its text may hold a secret
    assert found.complete


def test_diagnose_part_that_is_missing_is_a_finding() -> None:
    found = diagnose(Settings(), [Group("no_such_module", ("first",))])
    assert found.findings[0].status == "FAIL"
    assert "a part of faas is missing" in found.findings[0].finding


def test_diagnose_works_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def working(_: Settings) -> Iterator[Finding]:
        yield ok("first", "fine")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    found = diagnose(Settings(), [install(monkeypatch, "working", working)])
    assert (found.status, found.complete) == ("OK", True)


def test_document_lists_every_check() -> None:
    listed = re.findall(r"^\| `([\w-]+)` \|", DOCUMENT.read_text(), flags=re.MULTILINE)
    assert listed == [check for group in GROUPS for check in group.checks]
    assert len(set(listed)) == len(listed)


def test_document_has_the_thresholds_of_the_code() -> None:
    rows = {line.split("`")[1]: line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")}
    for check, values in {
        "python": [".".join(map(str, OLDEST_PYTHON))],
        "postgres": [f"older than {MINIMUM_POSTGRES_MAJOR}"],
        "connections": [f"+ {OWN_CONNECTIONS} ", f"(+ {COMPILER_ROLE_CONNECTIONS} for"],
        "database-clock": [f"{CLOCK_DIFFERENCE_SECONDS} s"],
        "data-directory": [f"under {show_size(FAIL_FREE_BYTES)} free", f"under {show_size(WARN_FREE_BYTES)} free"],
        "open-files": [f"under {OWN_DESCRIPTORS} ", f"+ {OWN_CONNECTIONS} ", f"(+ {COMPILER_ROLE_CONNECTIONS} for"],
        "processes": [f"under {OWN_PROCESSES} ", f"{COMPILER_THREADS} \N{MULTIPLICATION SIGN}"],
        "address-space": [show_size(FAIL_ADDRESS_SPACE_BYTES), show_size(POOL_ADDRESS_SPACE_BYTES)],
        "stack": [f"+ {show_size(MAIN_STACK_BYTES)}"],
        "memory": [f"under {show_size(FAIL_MEMORY_BYTES)},", f"under {show_size(WARN_MEMORY_BYTES)},"],
        "clock": [f"{EARLIEST_YEAR} to {LATEST_YEAR}", f"more than {STEP_SECONDS} s"],
    }.items():
        for value in values:
            assert value in rows[check], (check, value)
    assert f"has {diagnosis.TIMEOUT_SECONDS:g} s" in " ".join(DOCUMENT.read_text().split())


def test_document_is_wrapped() -> None:
    for line in DOCUMENT.read_text().splitlines():
        assert len(line) <= 100 or line.startswith("|"), line
