"""The extent of a measurement and its folder."""

from collections.abc import Callable
from pathlib import Path

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of all measurements.

    `rounds` of each measurement, `seconds` of load in each round, `scale` of the numbers of rows and calls (1 is all),
    `folder` for data directories, on a disk, and `progress`, which is called with the name of each step.
    """

    rounds: int
    seconds: int
    scale: float
    folder: Path
    progress: Callable[[str], None]

    def place(self, name: str) -> Path:
        """Create a folder in `folder`."""
        path = self.folder / name
        path.mkdir()
        return path

    def count(self, whole: int) -> int:
        """Return `whole` scaled, at least 1."""
        return max(1, round(whole * self.scale))
