"""Metrics of several processes as one."""

import prometheus_client

from faas.peers import Family, Sample, add_families, collect_families, summed_metrics


def families(count: float, in_flight: float, *, queued: float = 0.0, created: float = 1.0) -> list[Family]:
    return [
        Family(
            "faas_calls",
            "Calls.",
            "counter",
            [Sample("faas_calls_total", {"f": "a"}, count), Sample("faas_calls_created", {"f": "a"}, created)],
        ),
        Family("faas_in_flight", "In flight.", "gauge", [Sample("faas_in_flight", {}, in_flight)]),
        Family("faas_queue_messages", "Queued.", "gauge", [Sample("faas_queue_messages", {"queue": "q"}, queued)]),
        Family("python_info", "Python.", "gauge", [Sample("python_info", {"version": "3"}, 1.0)]),
    ]


def values(own: list[Family], others: list[list[Family]], ended: list[Family]) -> dict[str, float]:
    metrics = summed_metrics(own, others, ended)
    return {sample.name: sample.value for metric in metrics for sample in metric.samples}


def test_metrics_of_workers_are_summed_but_not_those_of_the_server() -> None:
    found = values(families(3, 1, queued=5, created=9.0), [families(4, 2, queued=7, created=8.0)], [])
    assert found == {
        "faas_calls_total": 7.0,
        "faas_calls_created": 8.0,
        "faas_in_flight": 3.0,
        "faas_queue_messages": 5.0,
        "python_info": 1.0,
    }


def test_metrics_of_ended_workers_are_their_counts() -> None:
    ended = add_families(add_families([], families(10, 5)), families(20, 6))
    found = values(families(1, 1), [], ended)
    assert (found["faas_calls_total"], found["faas_in_flight"]) == (31.0, 1.0)


def test_metrics_with_other_labels_stay_apart() -> None:
    other = [Family("faas_calls", "Calls.", "counter", [Sample("faas_calls_total", {"f": "b"}, 2.0)])]
    (calls,) = [metric for metric in summed_metrics(families(1, 0), [other], []) if metric.name == "faas_calls"]
    totals = {sample.labels["f"]: sample.value for sample in calls.samples if sample.name.endswith("_total")}
    assert totals == {"a": 1.0, "b": 2.0}


def test_metrics_of_one_process_are_as_the_library_has_them() -> None:
    own = collect_families()
    found = {metric.name: metric.type for metric in summed_metrics(own, [], [])}
    assert found == {metric.name: metric.type for metric in prometheus_client.REGISTRY.collect()}
    assert found["faas_executions_seconds"] == "histogram"
