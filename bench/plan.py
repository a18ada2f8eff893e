"""The extent of a measurement and its folder."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.failure import BenchmarkFailed


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of all measurements.

    `rounds` of each measurement, `seconds` of load in each round, `scale` of the numbers of rows and calls (1 is all),
    `folder` for data directories, on a disk, `template`, the data directory of which each server gets a copy, and
    `progress`, which is called with the name of each step.
    """

    rounds: int
    seconds: int
    scale: float
    folder: Path
    template: Path
    progress: Callable[[str], None]

    @property
    def short_seconds(self) -> int:
        """Seconds of load in each round of what needs fewer requests, or is not compared with other systems."""
        return max(1, self.seconds // 2)

    def place(self, name: str) -> Path:
        """Create a folder in `folder`."""
        path = self.folder / name
        path.mkdir()
        return path

    def data_dir(self, name: str) -> Path:
        """Create a data directory in `folder`, as the template is: the same state, whatever was measured before."""
        return copy_data_dir(self.template, self.folder / name)

    def count(self, whole: int) -> int:
        """Return `whole` scaled, at least 1."""
        return max(1, round(whole * self.scale))


def copy_data_dir(source: Path, target: Path) -> Path:
    """Copy the data directory of a server that has stopped, with the owners of its files, and write it to the disk."""
    command = ["cp", "--archive", "--reflink=auto", str(source), str(target)]
    copied = subprocess.run(command, capture_output=True, text=True, check=False)
    if copied.returncode:
        raise BenchmarkFailed(copied.stderr.strip()[-500:])
    os.sync()  # or the first checkpoint of its Postgres has to write it, during a measurement
    return target
