"""THIRD-PARTY-NOTICES.md: every part of dist/faas that another project made, its version, licence and licence text."""

from collections.abc import Iterable
from pathlib import Path

from bundle.embedded_parts import embedded_parts, shared_libraries
from bundle.licences import LicenceLibrary
from bundle.parts import Part, engine_packages, npm_packages, python_packages

FILE_NAME = "THIRD-PARTY-NOTICES.md"
_KINDS = ("Runtimes", "Libraries", "Python engine", "Launcher", "Python packages", "npm packages")
_INTRODUCTION = """# Third-party notices

What `dist/faas` and the container image contain of other projects. `make notices` writes this page from what
`make dist` put together; `dist/THIRD-PARTY-NOTICES.md` and the file itself have the licence texts as well.
Licences are SPDX expressions. The image's base adds Debian packages: see `/usr/share/doc/*/copyright` in it.
"""
_NOT_SHIPPED = """Installed with the wheel by pip, and not a part of `dist/faas` or the image:
"""
_FENCE = "~~~~~~"


def collect_parts(bundle: Path, build: Path, locks: Path, origins: dict[Path, Path]) -> list[Part]:
    """Return every part of `bundle`, in the order in which they are listed.

    Raises SystemExit when one has no known licence or no licence text.
    """
    library = LicenceLibrary(build)
    parts = [
        *embedded_parts(bundle, build, locks / "dist.lock", library),
        *shared_libraries(bundle, origins, library),
        *python_packages(bundle, locks / "bundle.lock", library),
        *npm_packages(bundle, library),
        *engine_packages(build.parent / "engines", library),
    ]
    if without := [part.name for part in parts if part.shipped and not part.texts]:
        raise SystemExit(f"no licence text for {', '.join(without)}")
    return sorted(parts, key=lambda part: (_KINDS.index(part.kind), part.name.lower(), part.version))


def table_page(parts: Iterable[Part]) -> str:
    """Return the page without the texts. What depends on the build machine has no version in it."""
    return _INTRODUCTION + "".join(_tables(list(parts), exact=False))


def full_page(parts: Iterable[Part]) -> str:
    """Return the page with the licence texts, each of them once, of what the bundle contains."""
    shipped = [part for part in parts if part.shipped]
    sources: dict[str, list[str]] = {}
    for part in shipped:
        for text in part.texts:
            named = sources.setdefault(text.content.strip(), [])
            named.append(f"{part.name} {part.version}: {text.source}")
    sections = []
    for number, (content, names) in enumerate(sources.items(), 1):
        users = "".join(f"- {name}\n" for name in dict.fromkeys(names))
        sections.append(f"\n### Text {number}\n\n{users}\n{_FENCE}\n{content}\n{_FENCE}\n")
    return _INTRODUCTION + "".join(_tables(shipped, exact=True)) + "\n## Licence texts\n" + "".join(sections)


def _tables(parts: list[Part], *, exact: bool) -> Iterable[str]:
    for kind in _KINDS:
        yield f"\n## {kind}\n\n" + _table([part for part in parts if part.kind == kind and part.shipped], exact=exact)
    if left_out := [part for part in parts if not part.shipped]:
        yield f"\n## Not in the bundle\n\n{_NOT_SHIPPED}\n" + _table(left_out, exact=exact)


def _table(parts: list[Part], *, exact: bool) -> str:
    rows = [
        f"| {part.name} | {part.version if exact or not part.of_builder else 'of the build machine'} "
        f"| {part.licence} | {part.homepage} |\n"
        for part in parts
    ]
    return "| name | version | licence | homepage |\n|---|---|---|---|\n" + "".join(dict.fromkeys(rows))
