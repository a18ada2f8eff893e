"""Begins faas inside the bundle: `bin/faas -I -S start.py NAME ARGUMENTS…`, where NAME is what the operator called.

There is no `site`: the bundle's packages are put on the path here, and nothing of the machine's Python is looked at.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "packages"))
sys.argv.pop(0)

from faas.cli import main  # noqa: E402

main()
