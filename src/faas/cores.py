"""How many processors this process may use."""

import math
import os
from pathlib import Path


def available_cores(root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")) -> int:
    """Return the number of processors: those of the affinity mask, or fewer where a control group allows less time.

    A share of a processor counts as one. Quotas are those of version 2 of control groups.
    """
    quotas = [quota for quota in map(_quota, _folders(root, groups)) if quota is not None]
    return max(
        1, min(len(os.sched_getaffinity(0)), *map(math.ceil, quotas)) if quotas else len(os.sched_getaffinity(0))
    )


def _folders(root: Path, groups: Path) -> list[Path]:
    """Return the folders of the process's control group and of those above it."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return []
    paths = [line.removeprefix("0::") for line in lines if line.startswith("0::")]
    return [root / parent.relative_to("/") for path in paths for parent in (Path(path), *Path(path).parents)]


def _quota(folder: Path) -> float | None:
    """Return how many processors a group may use at once; None without a limit."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return int(quota) / int(period) if quota.isdigit() else None
