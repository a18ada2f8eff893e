"""The output of `faas --version`: the version, the commit and the versions of the components."""

from importlib.resources import files
from pathlib import Path

from faas import __version__
from faas.cli.commit import describe_commit
from faas.doctor.parts import BROKEN, PARTS, why


def describe() -> str:
    """Return the version and the commit, then one line for each component, also if it is missing or broken."""
    width = max(len(name) for name in PARTS)
    lines = [f"faas {__version__} (commit {_commit()})"]
    return "\n".join([*lines, *(f"  {name:<{width}}  {_component_version(name)}" for name in PARTS)])


def _component_version(name: str) -> str:
    try:
        return PARTS[name]()
    except BROKEN as error:
        return f"does not start: {why(error)}"


def _commit() -> str:
    """Return the commit that the wheel was built from, or the commit of this checkout."""
    file = files("faas") / "commit.txt"
    if file.is_file():
        return file.read_text().strip()
    return describe_commit(Path(__file__).parents[3]) or "unknown"
