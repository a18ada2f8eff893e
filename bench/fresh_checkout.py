"""A checkout in which no engine is built yet: this one in hard links, without what is built."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.servers import ROOT

_PARTS = ("src", "sql", "engines", "requirements")
_LEFT_OUT = shutil.ignore_patterns("built", "__pycache__")


@contextmanager
def fresh_checkout() -> Iterator[Path]:
    """Make such a checkout for a `with` block, on the disk of this one."""
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-checkout-", dir=ROOT / "build") as name:
        for part in _PARTS:
            shutil.copytree(ROOT / part, Path(name, part), ignore=_LEFT_OUT, copy_function=os.link, symlinks=True)
        yield Path(name)
