"""The commit of a checkout.

Imports nothing of faas: the wheel's build hook (packaging/bundle/wheel_hook.py) loads this file alone.
"""

import subprocess
from pathlib import Path


def describe_commit(root: Path) -> str | None:
    """Return the short hash of the commit that is checked out at `root`, with `-dirty` if files differ from it.

    Returns None if `root` is not the top of a git work tree, or if git is missing or refuses to read it.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != root.resolve():
            return None  # installed below another project's work tree
        return git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None
