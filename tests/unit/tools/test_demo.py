"""The demo of the README: its commands exist, its picture shows them, and it loads nothing."""

import html
import re
import shlex

import click
import pytest
from rich.text import Text

from faas.cli import cli
from tools.demo import COMMANDS, TARGET, Line, render

PICTURE = TARGET.read_text()


def shown(picture: str) -> str:
    """The text of the terminal, a line each."""
    texts = re.findall(r'<text class="demo-r\d+"[^>]*y="([\d.]+)"[^>]*>(.*?)</text>', picture, flags=re.DOTALL)
    lines: dict[str, str] = {}
    for y, text in texts:
        lines[y] = lines.get(y, "") + html.unescape(text).replace("\xa0", " ").strip("\n")
    return "\n".join(line.rstrip() for line in lines.values())


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("faas ")])
def test_demo_commands_have_a_parser_that_accepts_them(command: str) -> None:
    _, name, *arguments = shlex.split(command)
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    values, rest, _ = found.make_parser(click.Context(found)).parse_args(arguments)
    assert rest == []
    assert values


def test_demo_picture_shows_the_commands_in_order() -> None:
    assert re.findall(r"^\$ (.*)$", shown(PICTURE), flags=re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize(
    "output",
    [
        "hello created, revision 1: READY, live",
        '{"greeting":"Hello, you!"}',
        "hello updated, revision 2: READY, live",
        "SyntaxError: Expression expected",
        "hello does not compile (revision 3); revision 2 still serves",
        "hello rolled back, revision 1 is live",
    ],
)
def test_demo_picture_shows_the_output(output: str) -> None:
    assert output in shown(PICTURE)


def test_demo_picture_loads_nothing() -> None:
    addresses = set(re.findall(r"https?://[^\"\s<]+", PICTURE))
    assert addresses <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}  # a namespace, a comment
    assert not re.search(r"@import|url\((?!#)|<script|<image|href=", PICTURE)


def test_demo_takes_about_twenty_seconds() -> None:
    assert 10 <= max(map(float, re.findall(r"animation-delay:([\d.]+)s", PICTURE))) <= 25


def test_demo_render_shows_each_line_at_its_time() -> None:
    picture = render([Line(Text("$ first"), 0.5), Line(Text("second <&>"), 2.0)])
    assert shown(picture) == "$ first\nsecond <&>"
    found = re.findall(r"#demo-line-(\d)\)\" style=\"animation-delay:([\d.]+)s\">[^\n]", picture)
    assert found == [("0", "0.5"), ("1", "2.0")]
