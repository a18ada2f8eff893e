"""The folder packaging/: it must not hide the library of that name, and what it names must exist."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_packaging_folder_does_not_hide_the_library() -> None:
    # pytest and hatchling import the library `packaging`, with the repository's root on their path.
    library = importlib.util.find_spec("packaging.version")
    assert library
    assert library.origin
    assert not Path(library.origin).is_relative_to(ROOT / "packaging")
    assert not (ROOT / "packaging" / "__init__.py").exists()
    assert importlib.util.find_spec("bundle.build")
