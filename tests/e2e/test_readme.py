"""The first minutes of the README, run as printed: first function, calls over HTTP, a broken deploy, a rollback."""

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.printed_commands import matches, run
from tests.helpers.server import Server, serving

ROOT = Path(__file__).parents[2]
# A busy machine may take longer to compile than the README says.
COMPILED = """until curl -s http://127.0.0.1:8080/functions/echo | grep -q '"status":"READY"'; do sleep 0.1; done"""


@pytest.fixture
async def server_with_defaults(database_url: str) -> AsyncIterator[Server]:
    """A server with the languages that it has by default."""
    async with serving("--database-url", database_url, environment={"FAAS_LANGUAGES": ""}) as started:
        yield started


def blocks(heading: str) -> list[tuple[str, str]]:
    """Return the kind and the text of each code block of a section."""
    section = (ROOT / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^```(sh|text)\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)


async def run_block(script: str, folder: Path, url: str) -> str:
    """Run a block in a folder that stands for a checkout and for /tmp; a command that fails does not end it."""
    script = script.replace("/tmp/", f"{folder}/").replace(".venv/bin/faas", "faas")
    script, _ = re.subn(r"^sleep 1\b.*$", COMPILED, script, flags=re.MULTILINE)
    return await run(f"set +e\n{script}\ntrue", folder, url)


@pytest.mark.skipif(not shutil.which("curl"), reason="the README uses curl")
async def test_readme_first_minutes_work_as_printed(server_with_defaults: Server, tmp_path: Path) -> None:
    url = server_with_defaults.url
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (_, over_command_line), (_, over_http) = blocks("First function")
    printed = await run_block(over_command_line, tmp_path, url)
    assert printed.startswith('hello created, revision 1: READY, live\ngreeting you\n{"greeting":"Hello, you!"}\n')
    assert "COMPLETED" in printed
    printed = await run_block(over_http, tmp_path, url)
    assert re.search(r'"status":"COMPLETED","output":\{"a": ?1\}', printed)
    (_, commands), (_, shown) = blocks("Deploy without an outage")
    printed = await run_block(commands, tmp_path, url)
    assert matches(printed, shown), f"printed:\n{printed}\nshown:\n{shown}"
