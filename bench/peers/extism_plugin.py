"""One call of an Extism plug-in that is loaded once: all calls share its instance and memory.

python -m bench.peers.extism_plugin MODULE INPUT EXPECTED CALLS
"""

import sys
from pathlib import Path

import extism

from bench.peers.timing import report


def main(file: str, document: str, expected: str, calls: int) -> None:
    """Load the plug-in once and report the duration of its calls."""
    plugin = extism.Plugin(Path(file).read_bytes(), wasi=False)
    given = document.encode()
    report(lambda: bytes(plugin.call("handle", given)), expected.encode(), calls)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
