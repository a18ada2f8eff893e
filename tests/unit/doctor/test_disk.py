"""The folders: real ones, and the thresholds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import faas
from faas.doctor.disk import (
    FAIL_FREE_BYTES,
    WARN_FREE_BYTES,
    check,
    check_data_directory,
    check_native_code_cache,
    file_system_of,
    judge_space,
)
from faas.settings import Settings

# Without the capabilities to write and read everything, root is a user like others: it may not write a folder of 0500.
AS_ORDINARY = """
import ctypes, os, sys
from pathlib import Path
if len(sys.argv) == 2:
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], "again"])
from faas.doctor.disk import check_data_directory, check_native_code_cache
for check in (check_data_directory, check_native_code_cache):
    found = check(Path(sys.argv[1]))
    print(found.status, found.finding)
"""


def without_privileges(folder: Path) -> list[str]:
    result = subprocess.run([sys.executable, "-c", AS_ORDINARY, folder], capture_output=True, text=True, check=True)
    return result.stdout.splitlines()


def test_data_directory_that_is_new_is_ok(tmp_path: Path) -> None:
    found = check_data_directory(tmp_path / "a" / "b")
    assert found.status in {"OK", "WARN"}  # as much as there is free
    assert str(tmp_path) in found.finding
    assert not (tmp_path / "a").exists()


def test_data_directory_that_is_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        found = check_data_directory(place)
        assert (found.status, found.finding) == ("FAIL", f"{tmp_path}/file is not a folder")
        assert "--data-dir" in found.action


def test_data_directory_that_is_read_only_fails(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o500)
    data, cache = without_privileges(folder)
    assert data.startswith("FAIL ")
    assert f"may not write {folder}" in data
    assert cache.startswith("WARN ")
    data, _ = without_privileges(folder / "below")
    assert f"may not write {folder}, and {folder}/below does not exist yet" in data
    folder.chmod(0o700)
    assert without_privileges(folder)[1].startswith("OK ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_data_directory_of_another_user_fails(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    os.chown(tmp_path / "postgres", 12345, 12345)
    found = check_data_directory(tmp_path)
    assert found.status == "FAIL"
    assert "uid 12345" in found.finding
    (tmp_path / "artifacts").mkdir()
    os.chown(tmp_path / "artifacts", 12345, 12345)
    assert check_native_code_cache(tmp_path / "artifacts").status == "WARN"


def test_native_code_cache_that_others_may_write_warns(tmp_path: Path) -> None:
    assert check_native_code_cache(tmp_path).status == "OK"
    tmp_path.chmod(0o777)
    found = check_native_code_cache(tmp_path)
    assert found.status == "WARN"
    assert "can be written by others" in found.finding


@pytest.mark.parametrize(
    ("free", "kind", "status"),
    [
        (FAIL_FREE_BYTES - 1, "ext4", "FAIL"),
        (FAIL_FREE_BYTES, "ext4", "WARN"),
        (WARN_FREE_BYTES - 1, "ext4", "WARN"),
        (WARN_FREE_BYTES, "ext4", "OK"),
        (WARN_FREE_BYTES, None, "OK"),
        (WARN_FREE_BYTES, "nfs4", "WARN"),
        (WARN_FREE_BYTES, "tmpfs", "WARN"),
        (WARN_FREE_BYTES, "overlay", "WARN"),
    ],
)
def test_space_threshold(free: int, kind: str | None, status: str) -> None:
    found = judge_space(Path("/data"), free, kind)
    assert found.status == status
    assert bool(found.action) == (status != "OK")


def test_bundle_folder_is_checked_in_the_one_file_executable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path)
    assert "unpacked-bundle" not in {finding.check for finding in check(settings)}
    bundle = tmp_path / "0.1.0-abc"
    (bundle / "packages" / "faas").mkdir(parents=True)
    (bundle / "start.py").touch()
    monkeypatch.setattr(faas, "__file__", str(bundle / "packages" / "faas" / "__init__.py"))
    (found,) = [finding for finding in check(settings) if finding.check == "unpacked-bundle"]
    assert found.status == "OK"
    assert found.finding.startswith(f"{bundle}: ")


def test_data_directory_is_not_needed_with_a_database_url(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = list(check(Settings(data_dir=tmp_path / "file", database_url="postgresql://db/faas")))
    assert [(finding.check, finding.status) for finding in found] == [("native-code-cache", "WARN")]


MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:26 / /srv rw,relatime shared:7 - nfs4 server:/srv rw
31 22 0:27 / /srv/my\\040data rw - xfs /dev/vdb rw
32 22 0:28 / /srv2 rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/data", "ext4"), ("/srv/data/x", "nfs4"), ("/srv/my data/x", "xfs"), ("/srv2", "tmpfs"), ("/srv23", "ext4")],
)
def test_file_system_of_a_folder(folder: str, kind: str) -> None:
    assert file_system_of(Path(folder), MOUNTS) == kind


def test_file_system_of_a_real_folder() -> None:
    assert file_system_of(Path("/proc/self")) == "proc"
