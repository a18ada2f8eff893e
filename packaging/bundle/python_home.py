"""The Python that builds is the Python that ships: its program and its standard library, less what is not used."""

import shutil
import sys
import sysconfig
from pathlib import Path

# Tests, interactive tools, graphical interfaces, and modules that faas does not use and whose libraries are large.
_NOT_SHIPPED = (
    "__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "turtle.py", "lib2to3", "ensurepip",
    "distutils", "pydoc_data", "config-*", "site-packages", "dist-packages", "sitecustomize.py", "EXTERNALLY-MANAGED",
    "_test*.so", "_xx*.so", "xxlimited*.so", "_tkinter*.so", "_curses*.so", "readline*.so", "nis*.so", "_crypt*.so",
    "_gdbm*.so", "_dbm*.so", "_sqlite3*.so", "ossaudiodev*.so", "_ctypes_test*.so",
)  # fmt: skip


def copy_python(bundle: Path) -> None:
    """`bin/faas`, a Python by that name, and `lib/python3.N`. Python finds the one from the other."""
    program = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    (bundle / "bin").mkdir(parents=True)
    shutil.copy2(program, bundle / "bin" / "faas")
    home = bundle / "lib" / f"python{sysconfig.get_python_version()}"
    shutil.copytree(sysconfig.get_path("stdlib"), home, ignore=shutil.ignore_patterns(*_NOT_SHIPPED))
    extensions = Path(sysconfig.get_config_var("DESTSHARED"))
    if not (home / extensions.name).exists():  # where the platform's modules have a folder of their own (lib64)
        shutil.copytree(extensions, home / extensions.name, ignore=shutil.ignore_patterns(*_NOT_SHIPPED))
