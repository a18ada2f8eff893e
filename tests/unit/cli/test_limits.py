"""Tests of limits on the command line."""

import click
import pytest
from click.testing import CliRunner

from faas.cli.limits import LimitChanges, change_limits, describe_limits, limit_option


@click.command()
@limit_option
def command(limits: LimitChanges) -> None:
    click.echo(repr(limits))


def parse(*given: str) -> tuple[int, str]:
    """Return the exit code and the output of a command with these values of --limit."""
    result = CliRunner().invoke(command, [word for value in given for word in ("--limit", value)])
    return result.exit_code, result.output.strip()


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        ("time=5s", {"time": 5.0}),
        ("time=1m30s", {"time": 90.0}),
        ("time=0.25", {"time": 0.25}),
        ("memory=64MiB", {"memory": 67108864}),
        ("memory=65537", {"memory": 65537}),
        ("concurrency=4", {"concurrency": 4}),
        ("perSecond=100", {"perSecond": 100.0}),
        ("perSecond=0.5", {"perSecond": 0.5}),
        ("time=", {"time": None}),
    ],
)
def test_limit_option_reads_values_and_shows_them_alike(given: str, parsed: LimitChanges) -> None:
    assert parse(given) == (0, repr(parsed))
    if None not in parsed.values():
        (shown,) = describe_limits(parsed)
        assert parse(shown) == (0, repr(parsed))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["cpu=1"], "'cpu=1'; accepted is NAME=VALUE with a NAME of time, memory, concurrency, perSecond"),
        (["time"], "'time'; accepted is NAME=VALUE"),
        (["time=5 parsecs"], "'5 parsecs' is not a duration such as 300ms, 10s, 2m or 1m30s; `time=` removes"),
        (["memory=-1"], "'-1' is not a size such as 4096, 64KiB or 128MiB"),
        (["concurrency=1.5"], "'1.5' is not a whole number such as 4"),
        (["concurrency=٤"], "is not a whole number"),  # a digit of another script
        (["perSecond=nan"], "'nan' is not a number such as 100 or 0.5"),
        (["perSecond=1e400"], "'1e400' is not a number"),
        (["time=1s", "time=2s"], "time is given twice"),
    ],
)
def test_limit_option_names_what_is_accepted(given: list[str], message: str) -> None:
    code, output = parse(*given)
    assert code == 2
    assert message in " ".join(output.split())


def test_change_limits_keeps_other_limits_and_settings() -> None:
    settings = {"limits": {"time": 5.0, "memory": 65536}, "env": {"A": "b"}}
    changed = change_limits(settings, {"time": None, "concurrency": 2})
    assert changed == {"limits": {"memory": 65536, "concurrency": 2}, "env": {"A": "b"}}
    assert change_limits({}, {}) == {"limits": {}}


def test_describe_limits_shows_what_this_version_does_not_know() -> None:
    assert describe_limits({}) == []
    limits = {"perSecond": 1000000.0, "memory": 100, "disk": 1}
    assert describe_limits(limits) == ["memory=100", "perSecond=1000000", "disk=1"]
