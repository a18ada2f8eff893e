"""The packages in the bundle, from PyPI and npm: what their own metadata says, and the licence files that they ship."""

import json
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path
from typing import Any

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bundle.licences import LicenceLibrary, LicenceText, read_text, spdx_expression

_LICENCE_FILE = re.compile(r"(licen[cs]e|copying|copyright|notice|authors)", re.IGNORECASE)

# The metadata of these names no licence that SPDX knows, or fewer than the licence files that they ship.
_CORRECTED = {
    "pyasn1-modules": "BSD-2-Clause",
    "uvloop": "Apache-2.0 OR MIT",
}

_QUICKJS_VERSION = "0.17.0"  # in quickjs-wasi
# Installed to build the JavaScript engine, and not a part of it; tr46 is replaced (prelude/host_names.mjs).
_BUILD_TOOLS = {"esbuild", "tr46"}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the product that another project made."""

    name: str
    version: str
    licence: str
    """An SPDX expression."""
    homepage: str
    kind: str
    """The heading under which it is listed."""
    texts: tuple[LicenceText, ...] = ()
    shipped: bool = True
    """False for what pip installs beside the wheel and the bundle leaves out."""
    of_builder: bool = False
    """True when the version is the build machine's and not locked."""


def locked_requirements(lock: Path, environment: dict[str, str] | None = None) -> Iterator[Requirement]:
    """Yield what `lock` pins for `environment` (markers' names; the running Python's by default)."""
    for line in lock.read_text().splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            requirement = Requirement(line.removesuffix("\\").strip())
            if not requirement.marker or requirement.marker.evaluate(environment):
                yield requirement


def python_packages(bundle: Path, lock: Path, library: LicenceLibrary) -> Iterator[Part]:
    """Yield the packages that `lock` pins, as installed in `bundle` or, where it leaves them out, in this Python."""
    shipped = (bundle / "packages").glob("*.dist-info")
    folders = {canonicalize_name(PathDistribution(folder).name): folder for folder in shipped}
    for requirement in locked_requirements(lock):
        name = canonicalize_name(requirement.name)
        folder = folders.get(name)
        found: Distribution = PathDistribution(folder) if folder else distribution(name)
        if found.version not in requirement.specifier:
            raise SystemExit(f"{name} is {found.version}, and {lock} pins {requirement.specifier}")
        licence = _CORRECTED.get(name) or _python_licence(found.metadata.json)
        if not licence:
            raise SystemExit(f"{name}: its metadata names no licence; add it to {Path(__file__).name}")
        texts = tuple(_shipped_texts(name, folder)) if folder else ()
        yield Part(
            name=name,
            version=found.version,
            licence=licence,
            homepage=_python_homepage(found.metadata.json),
            kind="Python packages",
            texts=texts or library.standard(licence),
            shipped=folder is not None,
        )


def npm_packages(bundle: Path, library: LicenceLibrary) -> Iterator[Part]:
    """Yield the npm packages that the wheel carries."""
    yield from _npm_packages(bundle / "packages" / "faas", library)


def engine_packages(engines: Path, library: LicenceLibrary) -> Iterator[Part]:
    """Yield what engine modules are made of, from the folder `engines` of the checkout: its code is in them."""
    yield Part(
        name="quickjs-ng",
        version=_QUICKJS_VERSION,
        licence="MIT",
        homepage="https://github.com/quickjs-ng/quickjs",
        kind="Runtimes",
        texts=library.standard("MIT"),
    )
    for part in _npm_packages(engines, library):
        if part.name not in _BUILD_TOOLS and not part.name.startswith("@esbuild/"):
            yield part


def _npm_packages(folder: Path, library: LicenceLibrary) -> Iterator[Part]:
    for file in sorted(folder.glob("**/node_modules/**/package.json")):
        if not re.search(r"/node_modules/(@[^/]+/)?[^/]+/package\.json$", str(file)):
            continue
        package = json.loads(file.read_text())
        licence = spdx_expression(package.get("license"))
        if not licence:
            raise SystemExit(f"{file}: it names no licence that SPDX knows")
        repository = package.get("repository") or ""
        address = repository if isinstance(repository, str) else repository["url"]
        yield Part(
            name=package["name"],
            version=package["version"],
            licence=licence,
            homepage=package.get("homepage") or _web_address(address),
            kind="npm packages",
            texts=tuple(_shipped_texts(package["name"], file.parent)) or library.standard(licence),
        )


def _shipped_texts(name: str, folder: Path) -> Iterator[LicenceText]:
    """Yield the licence files below `folder`, but not those of a package inside this one."""
    for file in sorted(folder.rglob("*")):
        inner = file.relative_to(folder)
        if file.is_file() and _LICENCE_FILE.search(file.name) and "node_modules" not in inner.parts:
            yield read_text(name, file)


def _python_licence(metadata: dict[str, Any]) -> str | None:
    classifiers = [
        classifier.rpartition(" :: ")[2]
        for classifier in metadata.get("classifier", [])
        if classifier.startswith("License ::")
    ]
    return spdx_expression(metadata.get("license_expression"), metadata.get("license"), *classifiers)


def _python_homepage(metadata: dict[str, Any]) -> str:
    urls = {}
    for entry in metadata.get("project_url", []):
        label, _, url = entry.partition(",")
        urls[label.strip().lower()] = url.strip()
    for label in ("homepage", "home", "repository", "source", "source code", "github"):
        if label in urls:
            return str(urls[label])
    return str(metadata.get("home_page") or f"https://pypi.org/project/{metadata['name']}/")


def _web_address(repository: str) -> str:
    """Return npm's forms of a repository's address (`git+https://….git`, `owner/name`) as a web page's."""
    address = re.sub(r"^(git\+)?(ssh|git|https?)://(git@)?", "https://", repository)
    address = re.sub(r"^git@([\w.]+):", r"https://\1/", address)
    address = re.sub(r"^(github:)?(?=[\w-]+/[\w.-]+$)", "https://github.com/", address)
    return address.removesuffix(".git")
