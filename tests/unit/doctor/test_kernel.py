"""What follows from the line in which a confined process says which layers hold; the line itself is a real one below."""

import pytest

from faas.doctor.kernel import check, check_platform, judge_layers
from faas.settings import Settings

FULL = "rlimits user-65533 landlock-7 seccomp"


def judged(*layers: str) -> dict[str, str]:
    findings = list(judge_layers(list(layers)))
    assert all(bool(finding.action) == (finding.status != "OK") for finding in findings)
    return {finding.check: finding.status for finding in findings}


def test_layers_that_all_hold_are_ok() -> None:
    assert judged(FULL, FULL) == {"landlock": "OK", "seccomp": "OK", "privileges": "OK"}
    assert judged("rlimits user landlock-1 seccomp")["privileges"] == "OK"


@pytest.mark.parametrize(
    ("layers", "missing"),
    [
        ("rlimits user-65533 no-landlock seccomp", "landlock"),
        ("rlimits user-65533 landlock-7 no-seccomp", "seccomp"),
        ("rlimits root-without-capabilities landlock-7 seccomp", "privileges"),
    ],
)
def test_layer_missing_in_one_process_warns(layers: str, missing: str) -> None:
    found = judged(FULL, layers)
    assert found.pop(missing) == "WARN"
    assert set(found.values()) == {"OK"}


@pytest.mark.parametrize(("abi", "confined"), [(1, "files"), (4, "files, TCP"), (7, "files, TCP, signals")])
def test_landlock_says_what_its_abi_confines(abi: int, confined: str) -> None:
    (landlock,) = [f for f in judge_layers([f"rlimits user landlock-{abi} seccomp"]) if f.check == "landlock"]
    assert landlock.finding == f"ABI {abi}, confines {confined}"


def test_platform_other_than_linux_fails() -> None:
    assert check_platform("darwin", "arm64").status == "FAIL"
    assert check_platform("linux", "riscv64").status == "WARN"
    assert check_platform("linux", "aarch64").status == "OK"


def test_confined_processes_are_really_started() -> None:
    found = {finding.check: finding for finding in check(Settings())}
    assert set(found) == {"platform", "sandbox", "landlock", "seccomp", "privileges", "user-namespaces"}
    assert found["sandbox"].finding == "confined processes start: Python, Node"
    assert found["sandbox"].status == "OK"


def test_confined_process_that_does_not_start_fails() -> None:
    found = [finding for finding in check(Settings(compile_memory=1 << 20)) if finding.check == "sandbox"]
    assert [finding.status for finding in found] == ["FAIL", "FAIL"]
    assert "Node does not start in a confined process" in found[1].finding
    assert "--compile-memory" in found[1].action
