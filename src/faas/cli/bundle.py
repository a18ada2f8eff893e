"""Bundling: a JavaScript or TypeScript file that imports others becomes one file, where an esbuild is installed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import msgspec

from faas import settings
from faas.cli.sources import read_source
from faas.errors import ConfigurationError
from faas.languages import Language

# Imports of types alone are removed with the types.
_IMPORT = re.compile(
    r"""^\s*import\s*(?!type\b)[\w{*"']|^\s*export\s+(?:\*|\{[^}]*\})[^;\n]*\bfrom\b|\brequire\(\s*["']""", re.MULTILINE
)
# The web platform is what functions have, so packages that have a variant for browsers are taken in that variant.
_OPTIONS = ("--bundle", "--format=esm", "--platform=browser", "--target=es2023", "--log-level=warning")


class Source(msgspec.Struct, frozen=True):
    """A source as it is sent. `bundled_with` is the esbuild that made it from several files."""

    language: Language
    text: str
    bundled_with: Path | None = None


def load_source(file: Path, language: Language) -> Source:
    """Read `file`, and bundle it when it imports other files and an esbuild is found. The bundle is JavaScript.

    Raises ConfigurationError when the file cannot be read or esbuild fails.
    """
    text = read_source(file, language)
    if language not in ("javascript", "typescript") or not _IMPORT.search(text):
        return Source(language, text)
    esbuild = find_esbuild(file)
    if esbuild is None:
        return Source(language, text)  # the compiler says what to do
    command = [str(esbuild), str(file.resolve()), *_OPTIONS, '--define:process.env.NODE_ENV="production"']
    result = subprocess.run(
        command, cwd=file.resolve().parent, capture_output=True, check=False, env=settings.program_environment()
    )
    if result.returncode:
        errors = result.stderr.decode("utf-8", "replace").strip()
        if "is built into node" in errors:
            errors += "\n\nfunctions do not have Node's own modules; there is no other platform to choose"
        raise ConfigurationError(f"{file}: {esbuild} failed:\n{errors}")
    return Source("javascript", result.stdout.decode(), esbuild)


def find_esbuild(file: Path) -> Path | None:
    """Return the esbuild of the packages around `file`, or the one on the PATH."""
    for folder in file.resolve().parents:
        candidate = folder / "node_modules" / ".bin" / "esbuild"
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    found = shutil.which("esbuild")
    return Path(found) if found else None
