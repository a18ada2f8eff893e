"""`faas --version`: which faas this is, and what it is made of."""

import json
import platform
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from faas import __version__
from faas.cli.commit import describe_commit
from faas.compile.languages.assemblyscript import TOOLCHAIN, find_node
from faas.database.postgres.server import packaged_binaries
from faas.errors import ConfigurationError


def describe() -> str:
    """The version and the commit, then each part in a line. A part that is missing says so."""
    width = max(len(name) for name in _PARTS)
    lines = [f"faas {__version__} (commit {_commit()})"]
    return "\n".join([*lines, *(f"  {name:<{width}}  {_tell(name)}" for name in _PARTS)])


def _tell(name: str) -> str:
    try:
        return _PARTS[name]()
    except (OSError, subprocess.SubprocessError, ConfigurationError) as error:
        return f"does not start: {error}"


def _commit() -> str:
    """Return the commit that the wheel was built from, or the one that this checkout is at."""
    file = files("faas") / "commit.txt"
    if file.is_file():
        return file.read_text().strip()
    return describe_commit(Path(__file__).parents[3]) or "unknown"


def _said(program: Path) -> str:
    """The last word of what `program` says of its version: `v24.1.0`, `postgres (PostgreSQL) 18.1`."""
    result = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=20, env={})
    return result.stdout.split()[-1].removeprefix("v")


def _package(name: str) -> str:
    """The version of an npm package of the toolchain."""
    found: str = json.loads((TOOLCHAIN / "node_modules" / name / "package.json").read_text())["version"]
    return found


_PARTS: dict[str, Callable[[], str]] = {
    "Python": platform.python_version,
    "wasmtime": lambda: version("wasmtime"),
    "Postgres": lambda: _said(packaged_binaries() / "postgres"),
    "pgmq": lambda: version("pgmq"),
    "Node": lambda: _said(find_node()),
    "AssemblyScript": lambda: _package("assemblyscript"),
    "json-as": lambda: _package("json-as"),
    "binaryen": lambda: _package("binaryen"),
    "litestar": lambda: version("litestar"),
    "uvicorn": lambda: version("uvicorn"),
}
