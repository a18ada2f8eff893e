"""The launcher unpacks once, atomically, only into folders that no other user can write; errors are one line."""

import fcntl
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.smoke.enclosure import Enclosure
from tests.smoke.process import TIMEOUT_SECONDS, finish

CACHE = "var/cache/faas"


def bundles(machine: Enclosure) -> list[str]:
    return sorted(path.name for path in (machine.root / CACHE).iterdir() if path.name != "lock")


def refusal(machine: Enclosure, **environment: str) -> str:
    """What it says in one line when it refuses to start, for root."""
    out, err = finish(machine.start("root", "--version", environment=environment), code=2)
    assert not out
    (line,) = (line for line in err.splitlines() if "unpacking into" not in line)
    return line


def test_launcher_concurrent_starts_unpack_once(new_machine: Callable[..., Enclosure]) -> None:
    machine = new_machine()
    said = [finish(process)[1] for process in [machine.start("root", "--version") for _ in range(3)]]
    assert sorted(map(len, said))[:2] == [0, 0], said
    assert len(bundles(machine)) == 1


def test_launcher_killed_while_unpacking_is_cleaned_up(new_machine: Callable[..., Enclosure]) -> None:
    machine = new_machine()
    process = machine.start("root", "--version")
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not list((machine.root / CACHE).glob(".unpacking-*/packages")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert [name.startswith(".unpacking-") for name in bundles(machine)] == [True]
    finish(machine.start("root", "--version"))
    assert [name.startswith("bundle-") for name in bundles(machine)] == [True]


def test_unpacking_removes_other_versions_that_no_process_runs(new_machine: Callable[..., Enclosure]) -> None:
    machine = new_machine()
    for name in ("bundle-0.0.1-idle", "bundle-0.0.2-busy", "postgres-18"):
        (machine.root / CACHE / name / "bin").mkdir(parents=True)
    busy = os.open(machine.root / CACHE / "bundle-0.0.2-busy", os.O_RDONLY)
    fcntl.flock(busy, fcntl.LOCK_SH)
    finish(machine.start("root", "--version"))
    os.close(busy)
    busy_one, this, other = bundles(machine)
    assert (busy_one, other) == ("bundle-0.0.2-busy", "postgres-18")
    assert this.startswith("bundle-")


def test_unpacking_on_a_full_disk(new_machine: Callable[..., Enclosure]) -> None:
    line = refusal(new_machine(), FAAS_CACHE_DIR="/small/cache")
    assert line.startswith("faas: cannot unpack into /small/cache: No space left on device; ")
    assert "FAAS_CACHE_DIR" in line


def test_unpacking_on_a_noexec_file_system(new_machine: Callable[..., Enclosure]) -> None:
    line = refusal(new_machine(), FAAS_CACHE_DIR="/noexec/cache")
    assert "may not be executed" in line
    assert "FAAS_CACHE_DIR" in line


def test_unpacking_without_glibc(new_machine: Callable[..., Enclosure]) -> None:
    machine = new_machine(glibc=False)
    line = refusal(machine)
    assert re.fullmatch(
        r"faas: this machine cannot run it: there is no glibc \(.*\); faas needs glibc 2\.\d+ or newer", line
    )
    assert bundles(machine) == []


def test_unpacking_with_an_older_glibc(new_machine: Callable[..., Enclosure]) -> None:
    machine = new_machine()
    for library in machine.root.rglob("libm.so.6"):
        library.unlink()
    assert "libm.so.6" in refusal(machine)
    assert bundles(machine) == []


@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_unpacking_into_a_folder_that_another_user_can_write(new_machine: Callable[..., Enclosure], mode: int) -> None:
    machine = new_machine()
    folder = machine.root / "tmp" / "theirs"
    folder.mkdir()
    folder.chmod(mode)
    if mode == 0o755:
        os.chown(folder, 1234, 1234)
    line = refusal(machine, FAAS_CACHE_DIR="/tmp/theirs/cache")
    assert line == "faas: FAAS_CACHE_DIR=/tmp/theirs/cache: /tmp/theirs can be written by other users"


def test_launcher_without_home_uses_private_folder(new_machine: Callable[..., Enclosure]) -> None:
    machine = new_machine()
    finish(machine.start("nobody", "--version", environment={"HOME": "/nonexistent"}))
    (place,) = machine.left()
    assert place == "/var/tmp/faas-65534"
    assert (machine.root / place[1:]).stat().st_mode & 0o777 == 0o700


def test_unpacking_of_a_truncated_file(shipped: Path, tmp_path: Path) -> None:
    content = (shipped / "faas").read_bytes()
    for name, part in (
        ("half", content[: len(content) // 2]),
        ("bent", content[:2_000_000] + b"?" + content[2_000_001:]),
    ):
        (tmp_path / name).write_bytes(part)
        (tmp_path / name).chmod(0o755)
        environment = {"FAAS_CACHE_DIR": str(tmp_path / "cache")}
        result = subprocess.run(
            [tmp_path / name], env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
        )
        assert result.returncode == 2
        assert "copy the file again" in result.stderr.splitlines()[-1]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]
