"""The demo of docs/compute-module/README.md, run as it is printed, with ports and folders of the test."""

import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.server import Server

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "compute-module" / "README.md").read_text()
MOCK_FOUNDRY, RUNS, FUNCTION = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
FAAS = str(Path(sys.executable).parent / "faas")


def here(script: str, folder: Path, port: str) -> str:
    """Return `script` with the folder, the port and the command of this test."""
    return script.replace("/tmp/", f"{folder}/").replace(":8081", f":{port}").replace(".venv/bin/faas", FAAS)


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[str]:
    """Start the mock Foundry as the demo does, on a free port; yields the port."""
    command = here(MOCK_FOUNDRY, tmp_path, "").replace("\\\n", " ") + " --addr 127.0.0.1:0"
    process = await asyncio.create_subprocess_exec(*command.split(), cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    yield (await process.stdout.readline()).decode().strip().rpartition(":")[2]
    process.terminate()
    await process.communicate()


async def sh(script: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-euc",
        script,
        cwd=ROOT,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def test_demo_works_as_printed(port: str, server: Server, tmp_path: Path) -> None:
    runs = here(RUNS, tmp_path, port)
    if not shutil.which("curl"):
        runs = re.sub(r"^curl.*\n", "", runs, flags=re.MULTILINE)
    output = await sh(runs)
    promised = re.findall(r"# (rows=.*?) …", RUNS)
    assert len(promised) == 2
    assert re.findall(r"^(rows=.*?) seconds", output, flags=re.MULTILINE) == promised
    assert "ada.lovelace@analytical.example,https://www.linkedin.com/in/ada-lovelace,Analytical," in output

    environment = "\n".join(line for line in runs.splitlines() if line.startswith("export"))
    output = await sh(f"{environment}\n{here(FUNCTION, tmp_path, port)}", FAAS_URL=server.url)
    assert "enrich created, revision 1: READY" in output
    assert output.count("rows=5 unique=3 cached=0 ok=3 error=1 ") == 2
    assert "Ada of Analytical" in (tmp_path / "enriched.csv").read_text()


def test_readme_links_to_the_demo() -> None:
    assert "](docs/compute-module/README.md)" in (ROOT / "README.md").read_text()
