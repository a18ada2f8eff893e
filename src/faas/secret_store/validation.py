"""What is accepted of a secret. No message repeats a value."""

from collections.abc import Sequence

from faas.errors import InvalidRequest, PayloadTooLarge
from faas.function_patterns import MAX_PATTERNS, parse_patterns
from faas.function_settings import is_variable_name
from faas.web_origin import ORIGIN_FORMAT, parse_origin

VALUE_LIMIT_BYTES = 64 << 10
MAX_HOSTS = 20

_NAME_FORM = "1 to 64 of A-Z a-z 0-9 _ that do not begin with a digit, as names of variables do"


def check_name(name: str) -> None:
    """Raise InvalidRequest unless a secret may have this name."""
    if not is_variable_name(name):
        raise InvalidRequest("name", f"{name[:100]!r} is not the name of a secret: {_NAME_FORM}")


def check_value(value: str) -> None:
    """Raise InvalidRequest or PayloadTooLarge, without the value, unless a secret may have it."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidRequest("value", "it has a lone surrogate; accepted is text in UTF-8") from None
    if not size:
        raise InvalidRequest("value", f"it is empty; accepted are 1 to {VALUE_LIMIT_BYTES} bytes")
    if size > VALUE_LIMIT_BYTES:
        accepted = f"accepted are 1 to {VALUE_LIMIT_BYTES} bytes in UTF-8"
        raise PayloadTooLarge("value", VALUE_LIMIT_BYTES, f"it has {size} bytes; {accepted}")
    if "\0" in value:
        raise InvalidRequest("value", "it has a NUL character, which environments cannot hold")


def parse_hosts(hosts: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the origins as requests name them, without duplicates; None for None. Raises InvalidRequest."""
    if hosts is None:
        return None
    if not 1 <= len(hosts) <= MAX_HOSTS:
        accepted = f"accepted are 1 to {MAX_HOSTS}, or null for a value that functions may read"
        raise InvalidRequest("hosts", f"{len(hosts)} origins; {accepted}")
    return tuple(dict.fromkeys(_parse_host(host) for host in hosts))


def parse_functions(functions: Sequence[str]) -> tuple[str, ...]:
    """Return the patterns of functions without duplicates. Raises InvalidRequest."""
    if not functions:
        return ()
    if len(set(functions)) > MAX_PATTERNS:
        raise InvalidRequest("functions", f"{len(set(functions))} patterns; accepted are 0 to {MAX_PATTERNS}")
    return parse_patterns(functions, "functions").patterns


def _parse_host(host: str) -> str:
    try:
        return parse_origin(host)
    except ValueError:
        raise InvalidRequest(
            "hosts", f"{host[:100]!r} is not accepted; accepted is {ORIGIN_FORMAT}, one for each host"
        ) from None
