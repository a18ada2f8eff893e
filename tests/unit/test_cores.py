"""How many processors a process may use."""

import os
from pathlib import Path

import pytest

from faas.cores import available_cores

ALL = len(os.sched_getaffinity(0))


def group(root: Path, *, own: str, parent: str = "max 100000") -> tuple[Path, Path]:
    folder = root / "cgroup" / "service" / "faas"
    folder.mkdir(parents=True)
    (folder / "cpu.max").write_text(own)
    (folder.parent / "cpu.max").write_text(parent)
    membership = root / "groups"
    membership.write_text("0::/service/faas\n")
    return root / "cgroup", membership


@pytest.mark.parametrize(
    ("own", "parent", "cores"),
    [
        ("max 100000", "max 100000", ALL),
        ("100000 100000", "max 100000", 1),
        ("max 100000", "50000 100000", 1),
        ("150000 100000", "max 100000", min(2, ALL)),
        ("6400000 100000", "max 100000", min(64, ALL)),
    ],
)
def test_available_cores_are_limited_by_the_control_group(tmp_path: Path, own: str, parent: str, cores: int) -> None:
    assert available_cores(*group(tmp_path, own=own, parent=parent)) == cores


def test_available_cores_without_a_control_group_are_those_of_the_affinity(tmp_path: Path) -> None:
    assert available_cores(tmp_path, tmp_path / "missing") == ALL
