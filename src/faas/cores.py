"""How many processors this process may use."""

import math
import os
from pathlib import Path

from faas.control_group import GROUPS, ROOT, processor_quota


def available_cores(root: Path = ROOT, groups: Path = GROUPS) -> int:
    """Return the number of processors: those of the affinity mask, or fewer where a control group allows less time.

    A share of a processor counts as one. `root` and `groups` are where control groups are.
    """
    cores = len(os.sched_getaffinity(0))
    quota = processor_quota(root, groups)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))
