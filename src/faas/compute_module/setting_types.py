"""Types of setting values: how a text is parsed, and how a value is shown.

Each `parse` raises ValueError with a description of what is accepted.
"""

import math
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from faas.units import DURATION_FORMAT, format_duration, parse_duration

_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_MAX_WHOLE_NUMBER = 1_000_000
_MAX_PORT = 65535


class SettingType(msgspec.Struct, frozen=True):
    """The parser of a setting's text, the inverse of it, and the placeholder in `--help`."""

    parse: Callable[[str], Any]
    show: Callable[[Any], str] = str
    metavar: str = "TEXT"
    choices: tuple[str, ...] = ()
    is_flag: bool = False


class ListenAddress(msgspec.Struct, frozen=True):
    """A host and a port to listen on; port 0 is any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def whole_number(least: int) -> SettingType:
    """Return the type of whole numbers from `least` to 1,000,000."""

    def parse(text: str) -> int:
        number = int(text) if text.strip().isascii() and text.strip().removeprefix("+").isdigit() else -1
        if not least <= number <= _MAX_WHOLE_NUMBER:
            raise ValueError(f"a whole number from {least} to {_MAX_WHOLE_NUMBER}")
        return number

    return SettingType(parse, metavar="N")


def one_of(*choices: str) -> SettingType:
    """Return the type of texts that are one of `choices`."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return SettingType(parse, metavar="|".join(choices), choices=choices)


def parse_url(text: str) -> str:
    """Return `text` without a trailing slash. Raises ValueError when it is not an http or https URL with a host."""
    url = text.strip()
    try:
        parts = urlsplit(url)
        is_complete = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        if "[" in parts.netloc:
            IPv6Address(parts.hostname or "")
    except ValueError:
        is_complete = False
    if not is_complete or not url.isascii() or any(character <= " " for character in url):
        raise ValueError("a URL such as https://host:443")
    return url.rstrip("/")


def _parse_positive_duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise ValueError(DURATION_FORMAT)
    return seconds


def _parse_rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1
    if not math.isfinite(rate) or rate < 0:
        raise ValueError("a number of requests per second such as 0.5 or 10; 0 is no limit")
    return rate


def _parse_boolean(text: str) -> bool:
    if text.strip().lower() not in _BOOLEANS:
        raise ValueError("true or false")
    return _BOOLEANS[text.strip().lower()]


def _parse_dataset_path(text: str) -> str:
    if not text.strip("/ ") or any(part in {"", ".", ".."} for part in text.split("/")):
        raise ValueError("the path of a file in a dataset, such as enriched.csv")
    return text


def _parse_listen_address(text: str) -> ListenAddress:
    host, colon, port = text.rpartition(":")
    if not (colon and port.isascii() and port.isdigit() and int(port) <= _MAX_PORT):
        raise ValueError("an address such as 127.0.0.1:8081")
    return ListenAddress(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - `:8081` asks for every interface


def _parse_existing_folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise ValueError("no such folder")
    return Path(text)


def _create_folder(text: str) -> Path:
    try:
        Path(text).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(str(error.strerror)) from None
    return Path(text)


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry.strip() for entry in text.split(",") if entry.strip()))


TEXT = SettingType(str.strip)
PATH = SettingType(str.strip, metavar="FILE")
URL = SettingType(parse_url, metavar="URL")
FLAG = SettingType(_parse_boolean, show=lambda value: str(value).lower(), is_flag=True)
DURATION = SettingType(_parse_positive_duration, show=format_duration, metavar="DURATION")
RATE = SettingType(_parse_rate, show=lambda rate: f"{rate:g}", metavar="NUMBER")
DATASET_PATH = SettingType(_parse_dataset_path, metavar="PATH")
LISTEN_ADDRESS = SettingType(_parse_listen_address, metavar="HOST:PORT")
EXISTING_FOLDER = SettingType(_parse_existing_folder, metavar="FOLDER")
CREATED_FOLDER = SettingType(_create_folder, metavar="FOLDER")
LIST = SettingType(_parse_list, show=",".join, metavar="RID,…")
