"""Tests that parse reports of wrk and pgbench and HTTP responses, and that format figures."""

import json

import pytest

from bench import table
from bench.database import parse_pgbench
from bench.failure import BenchmarkFailed
from bench.host import parse_busy_share
from bench.load import parse_report
from bench.results import Results
from bench.stats import at_least, at_most, below, figure, reported, within
from bench.steady import is_complete

WRK = """Running 3s test @ http://127.0.0.1:8080
  1 threads and 64 connections
Requests/sec:   2000.50
Transfer/sec:    300.00KB
{"requests": %d, "seconds": 2.000000, "failures": %d, "mean": 30500.5, "median": 30000, "p99": 61000}
"""
PGBENCH = """pgbench (18.4)
transaction type: two_statements.sql
number of transactions actually processed: 8243
number of failed transactions: %d (0.000%%)
latency average = 23.281 ms
initial connection time = 101.113 ms
tps = 2749.010987 (without initial connection time)
"""


def test_parse_report_of_wrk() -> None:
    load = parse_report(WRK % (4001, 0))
    assert (load.requests, load.per_second) == (4001, 2000.5)
    assert (load.mean, load.median, load.p99) == (30.5005, 30.0, 61.0)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (WRK % (4001, 3), "of 4001 requests 3 failed"),
        (WRK % (0, 0), "of 0 requests"),
        ("Running 3s test\n", "no report"),
        ("", "no report"),
    ],
)
def test_parse_report_rejects_failed_requests(output: str, reason: str) -> None:
    with pytest.raises(BenchmarkFailed, match=reason):
        parse_report(output)


def test_parse_pgbench() -> None:
    assert parse_pgbench(PGBENCH % 0) == (2749.010987, 23.281)


@pytest.mark.parametrize("output", [PGBENCH % 2, "", "pgbench: error: connection failed"])
def test_parse_pgbench_rejects_failed_transactions(output: str) -> None:
    with pytest.raises(BenchmarkFailed, match="pgbench"):
        parse_pgbench(output)


def test_reported_figures_are_shown_and_not_judged() -> None:
    judged = figure("one", "ms", at_most(2), [1.0], ("other", [1.0]))
    shown = figure("two", "/s", reported(), [3.0], ("other", [4.0]))
    value = figure("three", "KiB", reported("value"), [3.0])
    assert table.cells(shown)[-3:] == ("0.75", "—", "—")
    assert table.cells(value)[-3:] == ("—", "—", "—")
    assert table.summary([judged, shown, value]) == "1 of 1 targets met, 0 missed"


def test_is_complete_with_the_last_byte_of_a_response() -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Type: x\r\ncontent-length: 5\r\n\r\nhello"
    assert [size for size in range(1, len(response) + 1) if is_complete(response[:size])] == [len(response)]


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"])
def test_is_complete_rejects_responses_without_content_length(data: bytes) -> None:
    with pytest.raises(BenchmarkFailed):
        is_complete(data)


FIGURES = [
    figure("rate", "/s", at_least(0.6), [2000.0, 2200.0], ("echo", [4000.0, 4000.0])),
    figure("wait", "ms", within(1.0), [3.0], ("alone", [2.5])),
    figure("memory", "MiB", below(150), [151.2]),
    figure("call", "µs", at_most(1 / 8), [50.0], ("plain", [500.0])),
]


def test_cells_of_the_table() -> None:
    assert [table.cells(one) for one in FIGURES] == [
        ("rate", "2,100/s", "4,000/s", "echo", "0.53 (0.50 … 0.55)", "≥ 0.6", "NO"),
        ("wait", "3 ms", "2.5 ms", "alone", "+0.50 ms", "≤ +1 ms", "yes"),
        ("memory", "151 MiB", "—", "", "—", "≤ 150 MiB", "NO"),
        ("call", "50 µs", "500 µs", "plain", "0.10", "≤ 0.125", "yes"),
    ]


def test_verdict_of_a_noisy_figure_has_the_spread_beside_it() -> None:
    met = figure("p99", "ms", at_most(2), [10.0, 60.0, 30.0], ("median", [10.0, 20.0, 30.0]))
    missed = figure("p99", "ms", at_most(2), [10.0, 60.0, 90.0], ("median", [10.0, 20.0, 30.0]))
    assert table.cells(met)[-1] == "yes, too noisy (1.67)"
    assert table.cells(missed)[-1] == "NO, too noisy (1.67)"


def test_summary_counts_what_could_not_be_judged_neither_as_met_nor_as_missed() -> None:
    noisy = figure("p99", "ms", at_most(2), [10.0, 60.0, 30.0], ("median", [10.0, 20.0, 30.0]))
    assert table.summary(FIGURES) == "2 of 4 targets met, 2 missed"
    assert table.summary([noisy, *FIGURES]) == (
        "2 of 5 targets met, 2 missed, 1 could not be judged because the host was too noisy"
    )


def test_durations_of_points_and_their_sum() -> None:
    assert table.durations({"call": 12.3, "bursts": 104.0}) == "call      12 s\nbursts   104 s\nall      116 s"


def test_markdown_has_a_row_for_each_figure() -> None:
    lines = table.markdown(FIGURES).splitlines()
    assert len(lines) == 2 + len(FIGURES)
    assert {line.count("|") for line in lines} == {len(table.HEADINGS) + 1}


def test_document_contains_every_round() -> None:
    results = Results(
        figures={"executions": FIGURES},
        seconds={"executions": 12.5},
        failures={"call": "no faas run"},
        busy={"executions": 0.25},
    )
    found = json.loads(table.document(results))
    rate = found["figures"]["executions"][0]
    assert rate["roundsOfOurs"] == [2000.0, 2200.0]
    assert rate["target"] == {"compared": "ratio", "relation": "≥", "bound": 0.6}
    assert found["failures"] == {"call": "no faas run"}
    assert found["seconds"] == {"executions": 12.5}
    assert found["busy"] == {"executions": 0.25}


def test_host_says_when_it_was_not_quiet() -> None:
    before = "before the points, other programs used"
    assert table.host([0.02, 0.03, 0.1]) == f"{before} 3% of the processors, at most 10%"
    assert table.host([0.02, 0.03, 0.5]) == f"{before} 3% of the processors, at most 50%: the host was not quiet"


def test_parse_busy_share_counts_what_is_neither_idle_nor_waiting_for_the_disk() -> None:
    before = "cpu  100 20 30 1000 50 1 2 3 99 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    after = "cpu  110 25 35 1060 70 1 2 3 999 0\ncpu0 9 9 9 9 9 9 9 9 9 9\n"
    assert parse_busy_share(before, after) == pytest.approx(0.2)
    assert parse_busy_share(before, before) == 1  # no tick passed
