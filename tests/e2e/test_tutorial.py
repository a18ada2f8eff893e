"""The tutorial, run as printed: every block of commands, compared with the output that the page shows for it."""

import re
import shutil
from pathlib import Path

import pytest

from tests.helpers.printed_commands import matches, run
from tests.helpers.server import Server

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-function.md"
# The page begins with its result; the command is run once the function is there.
BLOCKS = re.findall(r"^```(sh|text)\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)[2:]
NOT_RUN = ("make run\n", 'export PATH="$PWD/.venv/bin:$PATH"\n')  # the test's server and its PATH stand for them


@pytest.mark.skipif(not shutil.which("curl"), reason="the tutorial uses curl")
async def test_tutorial_works_as_printed(server: Server, tmp_path: Path) -> None:
    compared = 0
    printed = ""
    for kind, block in BLOCKS:
        if kind == "text":
            assert matches(printed, block), f"printed:\n{printed}\nshown:\n{block}"
            compared += 1
        elif block not in NOT_RUN:
            printed = await run(block, tmp_path, server.url)
    assert compared == 5
    page = PAGE.read_text()
    (command, result) = re.findall(r"^```(?:sh|text)\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)[:2]
    assert (await run(command, tmp_path, server.url)).endswith(result)


def test_tutorial_comparison_fails_on_other_output() -> None:
    assert matches("a  1 b\n", "a … b")
    assert not matches("a 1 b c", "a … b")
    assert not matches("a.b", "aXb")
