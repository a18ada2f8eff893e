"""Hatch's hook: the wheel says which commit it was built from, in faas/commit.txt."""

from pathlib import Path
from runpy import run_path
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
        commit.write_text(f"{_describe_commit(Path(self.root)) or 'unknown'}\n")
        build_data["force_include"][str(commit)] = "faas/commit.txt"


def _describe_commit(root: Path) -> str | None:
    """Call `describe_commit` of the sources that are built; faas itself is not installed where hatch builds."""
    found: str | None = run_path(str(root / "src/faas/cli/commit.py"))["describe_commit"](root)
    return found
