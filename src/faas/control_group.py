"""The limits of this process's control group, version 1 or 2: the lowest of its own and those above it."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
GROUPS = Path("/proc/self/cgroup")
_UNLIMITED = 1 << 60  # version 1 writes the largest whole number of pages


def memory_limit(root: Path = ROOT, groups: Path = GROUPS) -> int | None:
    """Return how many bytes this process and its siblings may use; None when there is no limit."""
    return _lowest(root, groups, "memory", "memory.max", "memory.limit_in_bytes")


def process_limit(root: Path = ROOT, groups: Path = GROUPS) -> int | None:
    """Return how many processes and threads the group may have; None when there is no limit."""
    return _lowest(root, groups, "pids", "pids.max", "pids.max")


def processor_quota(root: Path = ROOT, groups: Path = GROUPS) -> float | None:
    """Return how many processors the group may use at once; None when there is no limit. Of version 2 only."""
    quotas = []
    for folder, name in _folders(root, groups, "cpu", "cpu.max", "cpu.max"):
        with suppress(OSError, ValueError):
            quota, period = (folder / name).read_text().split()
            if quota.isdigit():
                quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def _lowest(root: Path, groups: Path, controller: str, file: str, old_file: str) -> int | None:
    limits = []
    for folder, name in _folders(root, groups, controller, file, old_file):
        try:
            text = (folder / name).read_text().strip()
        except OSError:  # the root group has no limits, and a container may not see its own path
            continue
        if text.isdigit() and int(text) < _UNLIMITED:
            limits.append(int(text))
    return min(limits, default=None)


def _folders(root: Path, groups: Path, controller: str, file: str, old_file: str) -> Iterator[tuple[Path, str]]:
    """Yield each folder from the process's group up to the root, with the name of the limit's file there."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top, name = (root / controllers, old_file) if controllers else (root, file)
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            yield folder, name
            if folder == top:
                break
