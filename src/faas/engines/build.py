"""Builds engine modules ahead: `python -m faas.engines.build [NAME…]`. For checkouts; see the catalogue."""

import sys
import time
from typing import get_args

from faas.engines.catalogue import build
from faas.engines.engine import EngineName


def main() -> None:
    """Build the engines that are named, or all."""
    names: tuple[EngineName, ...] = get_args(EngineName)
    wanted = [name for name in names if name in sys.argv[1:] or not sys.argv[1:]]
    for name in wanted:
        started = time.monotonic()
        file = build(name)
        print(f"{name}: {file} ({file.stat().st_size / 1e6:.1f} MB, {time.monotonic() - started:.1f} s)")  # noqa: T201


if __name__ == "__main__":
    main()
