"""The memory's thresholds, and the control group's limits as both versions of the kernel's interface write them."""

from pathlib import Path

import pytest

from faas.control_group import memory_limit, process_limit
from faas.doctor.memory import check, check_memory
from faas.settings import Settings

MIB, GIB = 1 << 20, 1 << 30
SETTINGS = Settings(compile_memory=2 * GIB, memory_limit=128 * MIB)


@pytest.mark.parametrize(
    ("size", "status"), [(256 * MIB - 1, "FAIL"), (256 * MIB, "WARN"), (2 * GIB - 1, "WARN"), (2 * GIB, "OK")]
)
def test_memory_threshold(size: int, status: str) -> None:
    for found in (check_memory(SETTINGS, size, None), check_memory(SETTINGS, 64 * GIB, size)):
        assert found.status == status
        assert bool(found.action) == (status != "OK")


def test_memory_origin_is_reported() -> None:
    assert "of the machine" in check_memory(SETTINGS, 4 * GIB, 8 * GIB).finding
    found = check_memory(SETTINGS, 4 * GIB, 512 * MIB)
    assert "512 MiB allowed by the control group" in found.finding
    assert "MemoryMax" in found.action


def test_memory_less_than_one_execution_warns() -> None:
    found = check_memory(Settings(compile_memory=GIB, memory_limit=4 * GIB), 2 * GIB, None)
    assert found.status == "WARN"
    assert "FAAS_MEMORY_LIMIT" in found.action


def test_memory_of_kept_instances_is_left_to_them() -> None:
    found = check_memory(SETTINGS, 2 * GIB, None)
    assert "14 executions of 128 MiB fill it, beside 256 MiB for kept instances" in found.finding


def test_memory_of_this_machine_is_reported() -> None:
    (found,) = check(Settings())
    assert found.check == "memory"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_cgroup_version_2_lowest_limit_on_the_way_up(tmp_path: Path) -> None:
    root, groups = tmp_path / "cgroup", tmp_path / "self"
    groups.write_text("0::/system.slice/faas.service\n")
    write(root / "system.slice/faas.service/memory.max", "max\n")
    write(root / "system.slice/memory.max", f"{GIB}\n")
    write(root / "system.slice/faas.service/pids.max", "50\n")
    assert memory_limit(root, groups) == GIB
    assert process_limit(root, groups) == 50


def test_cgroup_version_1_limit_of_its_controller(tmp_path: Path) -> None:
    root, groups = tmp_path / "cgroup", tmp_path / "self"
    groups.write_text("7:cpu,cpuacct:/a\n4:memory:/a\n0::/\n")
    write(root / "memory/a/memory.limit_in_bytes", f"{300 * MIB}\n")
    write(root / "memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert memory_limit(root, groups) == 300 * MIB
    assert process_limit(root, groups) is None


def test_cgroup_path_that_a_container_cannot_see(tmp_path: Path) -> None:
    root, groups = tmp_path / "cgroup", tmp_path / "self"
    groups.write_text("0::/../outside\n")
    write(root / "memory.max", f"{GIB}\n")
    assert memory_limit(root, groups) == GIB
    assert memory_limit(root, tmp_path / "missing") is None
