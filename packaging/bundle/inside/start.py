"""Starts faas in the bundle: `bin/faas -I -S start.py NAME ARGUMENTS…`, where NAME is what the operator called.

`site` is disabled, so the host's Python packages are not used. The bundle's packages are put on the path here.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "packages"))
sys.argv.pop(0)

from faas.cli import main  # noqa: E402

main()
