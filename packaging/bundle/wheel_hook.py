"""The build hook of the wheel: adds what is outside src, the SQL files and the commit."""

from pathlib import Path
from runpy import run_path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WheelHook(BuildHookInterface[Any]):
    """Adds sql/ as faas/sql, and the commit as faas/commit.txt.

    An editable installation gets neither: it finds sql/ beside src, and asks git for the commit. A folder `faas` among
    the installed packages would also hide that the checkout has moved.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See BuildHookInterface."""
        if version == "editable":
            return
        commit = Path(self.root, "build", "commit.txt")
        commit.parent.mkdir(exist_ok=True)
        commit.write_text(f"{_describe_commit(Path(self.root)) or 'unknown'}\n")
        build_data["force_include"] |= {str(commit): "faas/commit.txt", str(Path(self.root, "sql")): "faas/sql"}


def _describe_commit(root: Path) -> str | None:
    """Call `describe_commit` of the sources that are built; faas itself is not installed where hatch builds."""
    found: str | None = run_path(str(root / "src/faas/cli/commit.py"))["describe_commit"](root)
    return found
