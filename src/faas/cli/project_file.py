"""faas.toml: what a function is deployed with, kept beside its source."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from faas.cli.limits import read_limit
from faas.cli.sources import LANGUAGE_OF_EXTENSION, extension_of, read_text_file
from faas.errors import ConfigurationError
from faas.languages import Language

NAME = "faas.toml"

_KEYS = ("name", "file", "language", "description", "env", "secrets", "outbound", "limits", "http")


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What a faas.toml says. `settings` has the parts that it has, as the API has them."""

    path: Path
    file: Path
    name: str | None = None
    language: Language | None = None
    description: str | None = None
    settings: Mapping[str, Any] = {}


def find_project(place: Path) -> Project | None:
    """Return the project of a folder, or of a source file that a faas.toml beside it names; None where there is none.

    Raises ConfigurationError for a folder without one, and for a faas.toml that is not valid.
    """
    path = (place if place.is_dir() else place.parent) / NAME
    if not path.is_file():
        if place.is_dir():
            raise ConfigurationError(f"{place}: the folder has no {NAME}; name a source file, or write one")
        return None
    project = _read(path)
    if not place.is_dir() and project.file.resolve() != place.resolve():
        return None  # it is another function's
    return project


def _read(path: Path) -> Project:
    try:
        document = tomllib.loads(read_text_file(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    for key in document:
        if key not in _KEYS:
            raise ConfigurationError(f"{path}: {key}: unknown; accepted are {', '.join(_KEYS)}")
    readers: dict[str, Callable[[Any], Any]] = {
        "env": _env, "secrets": _texts, "outbound": _texts, "limits": _limits, "http": _http,
    }  # fmt: skip
    return Project(
        path=path,
        file=_source_of(path, _field(path, document, "file", _text)),
        name=_field(path, document, "name", _text),
        language=_field(path, document, "language", _language),
        description=_field(path, document, "description", _text),
        settings={key: _field(path, document, key, read) for key, read in readers.items() if key in document},
    )


def _field(path: Path, document: Mapping[str, Any], key: str, read: Callable[[Any], Any]) -> Any:
    if key not in document:
        return None
    try:
        return read(document[key])
    except ValueError as error:
        raise ConfigurationError(f"{path}: {key}: {error}") from None


def _source_of(path: Path, name: str | None) -> Path:
    """Return the source file: the one that is named, or the only one in the folder."""
    if name is not None:
        file = path.parent / name
        if not file.is_file():
            raise ConfigurationError(f"{path}: file: there is no {name} beside it")
        return file
    found = sorted(file for file in path.parent.iterdir() if file.is_file() and extension_of(file))
    if len(found) != 1:
        shown = ", ".join(file.name for file in found[:5]) or "none"
        accepted = ", ".join(LANGUAGE_OF_EXTENSION)
        raise ConfigurationError(f'{path}: needs file = "…", as the folder has not one source ({accepted}): {shown}')
    return found[0]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not accepted; needed is a text")  # noqa: TRY004 - a ValueError names the key
    return value


def _language(value: Any) -> Language:
    languages: tuple[Language, ...] = get_args(Language)
    if value not in languages:
        raise ValueError(f"{value!r} is not accepted; accepted are {', '.join(languages)}")
    return languages[languages.index(value)]


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("needed is an array of texts")
    return value


def _env(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("needed is a table of texts")
    return value


def _limits(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        raise ValueError("needed is a table")  # noqa: TRY004 - as above
    return {name: read_limit(name, given) for name, given in value.items()}


def _http(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or value.keys() - {"auth"} or value.get("auth", "token") not in ("token", "none"):
        raise ValueError('accepted is auth = "token" or auth = "none"')
    return value
