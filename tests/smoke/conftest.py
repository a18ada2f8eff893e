"""Machines for the tests, and what `make smoke` prints at its end: how long the starts took."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.smoke.enclosure import Enclosure
from tests.smoke.process import ROOT, START_TIMES


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that no user may write, with dist/faas and the examples in it."""
    folder = tmp_path_factory.mktemp("shipped")
    shutil.copy2(ROOT / "dist" / "faas", folder / "faas")
    shutil.copytree(ROOT / "examples", folder / "examples")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555)
    return folder


@pytest.fixture
def new_machine(shipped: Path) -> Iterator[Callable[..., Enclosure]]:
    """Makes machines, `new_machine(glibc=True, disk=False)`; they are gone in the end."""
    if os.geteuid():
        pytest.skip("namespaces of our own take root")
    with ExitStack() as stack:

        def make(*, glibc: bool = True, disk: bool = False) -> Enclosure:
            parent = None if disk else _in_memory()
            root = Path(stack.enter_context(TemporaryDirectory(prefix="faas-machine-", dir=parent)))
            root.chmod(0o755)
            machine = Enclosure(root, shipped / "faas", glibc=glibc)
            stack.callback(machine.close)
            return machine

        yield make


def _in_memory() -> str | None:
    """Return a folder for files that need not be on a disk: with free space, and not mounted noexec."""
    found = os.statvfs("/dev/shm")
    fits = found.f_bavail * found.f_frsize > 2 << 30 and not found.f_flag & os.ST_NOEXEC
    return "/dev/shm" if fits else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the timings."""
    for line in START_TIMES:
        terminalreporter.write_line(line)
