"""The metric of executions by function: its labels, and their number."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from faas import metrics
from faas.executions.function_metrics import MAX_FUNCTIONS, FunctionMetrics
from faas.function_ref import is_function_name


@pytest.fixture(autouse=True)
def _fresh_metric() -> Iterator[None]:
    metrics.EXECUTIONS.clear()
    yield
    metrics.EXECUTIONS.clear()


def value(function: str, revision: str, status: str, path: str = "inline") -> float | None:
    labels = {"function": function, "revision": revision, "status": status, "path": path}
    return REGISTRY.get_sample_value("faas_executions_total", labels)


def test_function_metrics_count_by_function_revision_status_and_path() -> None:
    counters = FunctionMetrics()
    for _ in range(3):
        counters.count("orders", live=True, status="COMPLETED", inline=True)
    counters.count("orders", live=False, status="FAILED", inline=False)
    assert value("orders", "live", "COMPLETED") == 3
    assert value("orders", "other", "FAILED", "thread") == 1


def test_function_metrics_have_a_bounded_number_of_functions() -> None:
    counters = FunctionMetrics()
    for number in range(MAX_FUNCTIONS + 100):
        counters.count(f"f{number}", live=True, status="COMPLETED", inline=True)
    counters.count("f0", live=True, status="COMPLETED", inline=True)
    assert value("f0", "live", "COMPLETED") == 2
    assert value(f"f{MAX_FUNCTIONS}", "live", "COMPLETED") is None
    assert value("other", "live", "COMPLETED") == 100


def test_function_metrics_tell_a_function_named_other_from_the_others() -> None:
    counters = FunctionMetrics()
    counters.count("other", live=True, status="COMPLETED", inline=True)
    for number in range(MAX_FUNCTIONS):
        counters.count(f"f{number}", live=True, status="COMPLETED", inline=True)
    counters.count("other", live=True, status="COMPLETED", inline=True)
    assert value("_other", "live", "COMPLETED") == 2
    assert value("other", "live", "COMPLETED") == 1
    assert not is_function_name("_other")
