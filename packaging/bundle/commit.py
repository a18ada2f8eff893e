"""Hatch's hook: the wheel says which commit it was built from, in faas/commit.txt."""

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface[Any]):
    """Adds the file; an editable install has none, as its sources change under it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See BuildHookInterface."""
        if version == "editable":
            return
        commit = Path(self.root, "build", "commit.txt")
        commit.parent.mkdir(exist_ok=True)
        commit.write_text(f"{_describe(self.root)}\n")
        build_data["force_include"][str(commit)] = "faas/commit.txt"


def _describe(root: str) -> str:
    """The commit's short hash, with `-dirty` where the sources differ from it; `unknown` outside of a repository."""
    try:
        result = subprocess.run(
            ["git", "-C", root, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return result.stdout.strip()
