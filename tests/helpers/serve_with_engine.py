"""Runs `faas` as a version that has the engine modules of a folder: `serve_with_engine.py FOLDER faas serve …`."""

import sys
from pathlib import Path

from faas.cli import main
from faas.engines import catalogue

if __name__ == "__main__":
    catalogue.BUILT = Path(sys.argv[1])
    catalogue._RECIPES = catalogue.BUILT / "none"  # an installation, which builds nothing
    sys.argv = sys.argv[2:]
    main()
