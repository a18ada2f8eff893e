"""Tables on terminals of different widths, and times."""

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from faas.cli import output
from faas.cli.output import NO_VALUE, ago, in_or_ago, is_past, print_table

COLUMNS = ["ID", "BY", "ERROR"]


@pytest.fixture
def width(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> int:
    """The width of a terminal that the tables are printed on."""
    wide: int = request.param
    monkeypatch.setattr(output, "Console", lambda **options: Console(**options, force_terminal=True, width=wide))
    monkeypatch.setenv("NO_COLOR", "1")
    return wide


@pytest.mark.parametrize(
    ("width", "rows", "shown"),
    [
        (80, [["a" * 10, "shop", "failed"]], ["ID", "BY", "ERROR"]),
        (80, [["a" * 10, NO_VALUE, "failed"]], ["ID", "ERROR"]),
        (25, [["a" * 10, "shop", "failed"]], ["ID", "BY", "ERROR"]),
        (20, [["a" * 10, "shop", "failed"]], ["ID", "ERROR"]),
        (20, [["a" * 10, "shop", ""]], ["ID", "BY"]),
        (15, [["a" * 10, "shop", ""]], ["ID"]),
    ],
    indirect=["width"],
)
@pytest.mark.usefixtures("width")
def test_table_leaves_out_the_optional_column_where_it_has_no_value_or_no_space(
    rows: list[list[str]], shown: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(COLUMNS, rows, optional="BY")
    header, _, row = capsys.readouterr().out.splitlines()
    assert header.replace("\x1b[1m", "").replace("\x1b[0m", "").split() == shown
    assert rows[0][0] in row


def test_times_are_told_from_now() -> None:
    now = datetime.now(UTC)
    past, future = (now - timedelta(minutes=3, seconds=5)).isoformat(), (now + timedelta(days=2, hours=1)).isoformat()
    assert (ago(past), in_or_ago(past), in_or_ago(future)) == ("3 min ago", "3 min ago", "in 2 d")
    assert ago(future) == "0 s ago"  # clocks differ
    assert (is_past(past), is_past(future)) == (True, False)
