"""The limits' thresholds, and the same in processes whose limits are really lowered."""

import json
import resource
import subprocess
import sys

import msgspec
import pytest

from faas.doctor import limits
from faas.doctor.limits import check_address_space, check_open_files, check_processes, check_stack
from faas.runtime import inline_policy, kept_instances
from faas.settings import Settings

SETTINGS = Settings(max_in_flight=256, database_pool=16, compile_workers=2, stack_limit=1 << 20)
UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limit", "status"), [(63, "FAIL"), (64, "WARN"), (343, "WARN"), (344, "OK"), (UNLIMITED, "OK")]
)
def test_open_files_threshold(limit: int, status: str) -> None:
    found = check_open_files(SETTINGS, limit)
    assert found.status == status
    assert bool(found.action) == (status != "OK")


@pytest.mark.parametrize(("limit", "status"), [(339, "WARN"), (340, "OK")])
def test_open_files_threshold_of_the_role_compiler(limit: int, status: str) -> None:
    assert check_open_files(msgspec.structs.replace(SETTINGS, role="compiler"), limit).status == status


@pytest.mark.parametrize(
    ("limit", "status"), [(63, "FAIL"), (64, "WARN"), (347, "WARN"), (348, "OK"), (UNLIMITED, "OK")]
)
def test_processes_threshold(limit: int, status: str) -> None:
    found = check_processes(SETTINGS, limit, None)
    assert found.status == status
    assert "ulimit -u" in found.finding


@pytest.mark.parametrize("limit", [UNLIMITED, 100_000])
def test_processes_control_group_is_reported_when_it_is_lower(limit: int) -> None:
    found = check_processes(SETTINGS, limit, 100)
    assert found.status == "WARN"
    assert found.finding.startswith("100 (pids.max")
    assert "TasksMax" in found.action


def test_address_space_pool_of_all_executions_is_reported() -> None:
    found = check_address_space(SETTINGS, UNLIMITED)
    assert found.status == "OK"
    assert "2.1 TiB for 256 executions" in found.finding  # 2 x 257 + 32 slots of 4 GiB
    assert limits.KEPT_INSTANCES == kept_instances.MAX_KEPT_INSTANCES


def test_address_space_too_many_executions_for_a_process_fail() -> None:
    assert check_address_space(Settings(max_in_flight=10_223), UNLIMITED).status == "OK"
    found = check_address_space(Settings(max_in_flight=10_224), UNLIMITED)
    assert found.status == "FAIL"
    assert "FAAS_MAX_IN_FLIGHT" in found.action


def test_address_space_that_is_limited_warns() -> None:
    assert check_address_space(SETTINGS, (6 << 30) - 1).status == "FAIL"
    found = check_address_space(SETTINGS, 14 << 30)
    assert found.status == "WARN"
    assert "about 3 executions at once" in found.finding


def test_stack_threshold_is_the_engines() -> None:
    assert inline_policy._MAIN_THREAD_STACK_BYTES == limits.MAIN_STACK_BYTES
    assert check_stack(SETTINGS, (2 << 20) - 1).status == "WARN"
    assert check_stack(SETTINGS, 2 << 20).status == "OK"
    assert check_stack(SETTINGS, UNLIMITED).status == "OK"


CHILD = """
import json, msgspec
from faas.doctor.limits import check
from faas.settings import Settings
print(json.dumps({finding.check: finding.status for finding in check(Settings())}))
"""


@pytest.mark.parametrize(
    ("number", "value", "check", "status"),
    [
        (resource.RLIMIT_NOFILE, 40, "open-files", "FAIL"),
        (resource.RLIMIT_NOFILE, 200, "open-files", "WARN"),
        (resource.RLIMIT_NPROC, 200, "processes", "WARN"),
        (resource.RLIMIT_AS, 4 << 30, "address-space", "FAIL"),
        (resource.RLIMIT_STACK, 1 << 20, "stack", "WARN"),
    ],
)
def test_limits_of_a_process_are_found(number: int, value: int, check: str, status: str) -> None:
    def lower() -> None:
        resource.setrlimit(number, (value, resource.getrlimit(number)[1]))

    result = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, preexec_fn=lower)
    assert json.loads(result.stdout)[check] == status
