"""How much is measured, and where."""

from collections.abc import Callable
from pathlib import Path

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """rounds: of each measurement. seconds: of load in each round. scale: of counts of rows and calls, 1 for the whole.

    folder: for data directories, on a disk. progress: told what is being done.
    """

    rounds: int
    seconds: int
    scale: float
    folder: Path
    progress: Callable[[str], None]

    def place(self, name: str) -> Path:
        """A new folder inside `folder`."""
        path = self.folder / name
        path.mkdir()
        return path

    def count(self, whole: int) -> int:
        """`whole` scaled."""
        return max(1, round(whole * self.scale))
