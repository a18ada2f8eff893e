"""The environment of the packages that only the build of the engine needs: requirements/engines.lock."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).parents[2]
_LOCK = _CHECKOUT / "requirements" / "engines.lock"
_FOLDER = _CHECKOUT / ".venv-engines"
_STAMP = _FOLDER / ".lock-digest"


def environment() -> Path:
    """Return the Python of the environment; make it where it is missing or of another lock."""
    python = _FOLDER / "bin" / "python"
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    if python.exists() and _STAMP.exists() and _STAMP.read_text() == digest:
        return python
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        raise RuntimeError(f"uv is missing beside {sys.executable}: run `make setup`")
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(_FOLDER)], check=True)
    subprocess.run(
        [uv, "pip", "sync", "--quiet", "--no-build", "--require-hashes", "--python", str(python), str(_LOCK)],
        check=True,
    )
    _STAMP.write_text(digest)
    return python


if __name__ == "__main__":
    environment()
