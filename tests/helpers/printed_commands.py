"""Commands of documents, run as printed, and compared with the output that the documents show."""

import asyncio
import re
import sys
from pathlib import Path


async def run(script: str, folder: Path, url: str) -> str:
    """Run `script` in `folder` and return what it prints, on stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-euc",
        script.replace("http://127.0.0.1:8080", url),
        cwd=folder,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", "FAAS_URL": url, "LANG": "C.UTF-8"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, output.decode()
    return output.decode()


def matches(printed: str, shown: str) -> bool:
    """Return whether `printed` is what the page shows, in which … stands for any text.

    The columns of tables may be wider: a slow machine prints longer durations.
    """
    pattern = ".*".join(re.escape(part) for part in _squeezed(shown).split("…"))
    return re.fullmatch(pattern, _squeezed(printed)) is not None


def _squeezed(text: str) -> str:
    return re.sub("─+", "─", " ".join(text.split()))
