"""The versions of the components, as each reports it; `faas --version` prints them too."""

import json
import platform
import subprocess
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from faas.compile.languages.assemblyscript import TOOLCHAIN, find_node
from faas.database.postgres.binaries import packaged_binaries
from faas.errors import ConfigurationError

PROGRAM_TIMEOUT_SECONDS = 20.0

# What a part raises that is missing or does not start.
BROKEN = (OSError, subprocess.SubprocessError, ConfigurationError, PackageNotFoundError, ValueError, IndexError)


def program_version(program: Path, timeout: float = PROGRAM_TIMEOUT_SECONDS) -> str:
    """Return the last word of what `program` says of its version: `v24.1.0`, `postgres (PostgreSQL) 18.1`."""
    result = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=timeout, env={})
    return result.stdout.split()[-1].removeprefix("v")


def npm_version(name: str) -> str:
    """Return the version of an npm package of the toolchain."""
    found: str = json.loads((TOOLCHAIN / "node_modules" / name / "package.json").read_text())["version"]
    return found


def pgmq_sql_version() -> str:
    """Return the version of pgmq whose SQL the package `pgmq` has; the package counts its own versions."""
    spec = find_spec("pgmq")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("the package pgmq is not installed")
    return Path(spec.submodule_search_locations[0], "sql", "VERSION").read_text().strip()


PARTS: dict[str, Callable[[], str]] = {
    "Python": platform.python_version,
    "wasmtime": lambda: version("wasmtime"),
    "Postgres": lambda: program_version(packaged_binaries() / "postgres"),
    "pgmq": lambda: version("pgmq"),
    "Node": lambda: program_version(find_node()),
    "AssemblyScript": lambda: npm_version("assemblyscript"),
    "json-as": lambda: npm_version("json-as"),
    "binaryen": lambda: npm_version("binaryen"),
    "litestar": lambda: version("litestar"),
    "uvicorn": lambda: version("uvicorn"),
}


def why(error: BaseException) -> str:
    """Return what one of BROKEN says, in one line."""
    if isinstance(error, subprocess.CalledProcessError):
        said = error.stderr if isinstance(error.stderr, str) else ""
        return f"exit code {error.returncode}: {' '.join(said.split())[:200] or 'no message'}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer within {error.timeout:g} s"
    return " ".join(str(error).split()) or type(error).__name__
