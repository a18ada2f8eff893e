"""Tests of what the commands write to a terminal."""

import io
import json

from faas.cli.terminal import json_for_display


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_json_for_display_stays_valid_with_carriage_returns() -> None:
    document = '{"a":\r\n 1,\r"b": "\x9b2J"}'
    shown = json_for_display(document, Terminal())
    assert json.loads(shown) == json.loads(document)
    assert "\r" not in shown
    assert "\x9b" not in shown
