"""`faas --version`: which faas this is, and what it is made of."""

from importlib.resources import files
from pathlib import Path

from faas import __version__
from faas.cli.commit import describe_commit
from faas.doctor.parts import BROKEN, PARTS, why


def describe() -> str:
    """The version and the commit, then each part in a line. A part that is missing says so."""
    width = max(len(name) for name in PARTS)
    lines = [f"faas {__version__} (commit {_commit()})"]
    return "\n".join([*lines, *(f"  {name:<{width}}  {_tell(name)}" for name in PARTS)])


def _tell(name: str) -> str:
    try:
        return PARTS[name]()
    except BROKEN as error:
        return f"does not start: {why(error)}"


def _commit() -> str:
    """Return the commit that the wheel was built from, or the one that this checkout is at."""
    file = files("faas") / "commit.txt"
    if file.is_file():
        return file.read_text().strip()
    return describe_commit(Path(__file__).parents[3]) or "unknown"
