"""Checks of the installation itself: Python, the packages, the engine, and the programs that compile."""

import platform
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module, metadata

from faas.compile.languages.assemblyscript import TOOLCHAIN, find_node
from faas.compile.wizer import Wizer
from faas.doctor.finding import Finding, fail, ok, warn
from faas.doctor.parts import BROKEN, npm_version, program_version, why
from faas.engines import catalogue
from faas.settings import Settings
from faas.units import format_size

OLDEST_PYTHON = (3, 11)
_PROGRAM_TIMEOUT_SECONDS = 3.5
_REINSTALL = "install faas again, or set its environment up again with `make setup`"

# Packages with compiled parts, which a C library or a processor may refuse although they are installed.
NATIVE = ("asyncpg", "httptools", "msgspec", "ssl", "uuid_utils", "uvloop")


def check(settings: Settings) -> Iterator[Finding]:
    """Check all of it. What only compiles AssemblyScript is a warning where that is not compiled."""
    yield check_python()
    yield check_packages()
    yield _check_wasmtime()
    compiles = settings.role != "api" and "assemblyscript" in settings.languages
    needs_node = compiles or (settings.role != "api" and "typescript" in settings.languages)
    yield _check_part("node", lambda: program_version(find_node(), _PROGRAM_TIMEOUT_SECONDS), needed=needs_node)
    yield _check_javascript(settings)
    yield _check_part("assemblyscript", _describe_toolchain, needed=compiles)
    yield _check_part("wizer", _describe_wizer, needed=False)


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Check the version of Python."""
    shown = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        return fail("python", f"{shown}; faas needs {oldest} or newer", f"install Python {oldest}+, then faas with it")
    library = " ".join(platform.libc_ver()).strip() or "a C library of unknown version"
    return ok("python", f"{shown}, {library}")


def check_packages(requirements: Iterable[str] | None = None, native: Iterable[str] = NATIVE) -> Finding:
    """Check that what faas requires is installed, and that what is compiled can be loaded here."""
    wanted = metadata.requires("faas") or [] if requirements is None else requirements
    names = [
        re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in wanted if "extra ==" not in requirement
    ]
    missing = [name for name in names if not _is_installed(name)]
    if missing:
        return fail("packages", f"missing: {', '.join(missing)}", _REINSTALL)
    for name in native:
        try:
            import_module(name)
        except (ImportError, OSError) as error:
            return fail("packages", f"{name} cannot be loaded: {why(error)}", _REINSTALL)
    return ok("packages", f"all {len(names)} installed; {', '.join(native)} can be loaded")


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _check_wasmtime() -> Finding:
    try:
        import_module("faas.runtime.c_api")  # compares the engine's structures with those that faas expects
        return ok("wasmtime", metadata.version("wasmtime"))
    except (ImportError, OSError, TypeError) as error:
        return fail("wasmtime", f"cannot be used: {why(error)}", _REINSTALL)


def _check_javascript(settings: Settings) -> Finding:
    """Check that the engine of JavaScript and TypeScript is there. A checkout builds it by itself."""
    file = catalogue.built_file("javascript")
    if file.is_file():
        return ok("javascript", f"engine {file.stem.rpartition('-')[2]}, {format_size(file.stat().st_size)}")
    if catalogue.can_build("javascript"):
        return warn("javascript", "the engine is not built; the server builds it in the background", "make engines")
    if {"javascript", "typescript"} & set(settings.languages):
        return fail("javascript", f"the engine is missing: {file}", _REINSTALL)
    return warn("javascript", f"the engine is missing, JavaScript cannot be compiled: {file}", _REINSTALL)


def _describe_toolchain() -> str:
    packages = [f"{name} {npm_version(name)}" for name in ("assemblyscript", "json-as", "binaryen")]
    return ", ".join(packages).removeprefix("assemblyscript ")


def _describe_wizer() -> str:
    program = Wizer(TOOLCHAIN, memory=1, size_limit=1).program
    if not program.is_file():
        raise FileNotFoundError(f"{program} is missing")
    return npm_version(f"@bytecodealliance/{program.parent.name}")


def _check_part(name: str, describe: Callable[[], str], *, needed: bool) -> Finding:
    try:
        return ok(name, describe())
    except BROKEN as error:
        if needed:
            return fail(
                name, f"cannot be used: {why(error)}", f"{_REINSTALL}; without AssemblyScript: --languages wat,wasm"
            )
        effect = (
            "start-up code then runs in every execution" if name == "wizer" else "AssemblyScript cannot be compiled"
        )
        return warn(name, f"cannot be used, {effect}: {why(error)}", _REINSTALL)
