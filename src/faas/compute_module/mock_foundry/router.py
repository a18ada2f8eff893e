"""From a method and a raw path to an endpoint.

The path is split into segments before each is percent-decoded: a branch `feature%2Fx` is one segment, and so is a file
path that a client has encoded whole. Frameworks that route on the decoded path cannot tell the two apart.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import unquote_to_bytes

import msgspec

from faas.compute_module.mock_foundry.answer import Answer, Refusal, not_found
from faas.compute_module.mock_foundry.request import Request

Endpoint = Callable[[Request], Awaitable[Answer]]

_REST = "{path...}"


class Route(msgspec.Struct, frozen=True):
    """`pattern` is a path of fixed segments, `{name}` for any one, and at most one `{path...}` for one or more."""

    method: str
    pattern: tuple[str, ...]
    endpoint: Endpoint


class Router:
    """Holds the routes; the first that fits wins."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def add(self, method: str, pattern: str, endpoint: Endpoint) -> None:
        """Answer `method` on `pattern` with `endpoint`."""
        self._routes.append(Route(method, tuple(pattern.strip("/").split("/")), endpoint))

    def find(self, method: str, segments: list[str]) -> tuple[Endpoint, dict[str, str]]:
        """The endpoint and its path parameters. Raises Refusal: 404 for an unknown path, 405 for a wrong method."""
        allowed = set()
        for route in self._routes:
            parameters = _match(route.pattern, segments)
            if parameters is None:
                continue
            if route.method == method:
                return route.endpoint, parameters
            allowed.add(route.method)
        if allowed:
            header = (("Allow", ", ".join(sorted(allowed))),)
            raise Refusal(405, "MethodNotAllowed", "METHOD_NOT_ALLOWED", {"method": method}, header)
        raise not_found()


def split_path(raw_path: bytes) -> list[str]:
    """The decoded segments of a raw path. Raises Refusal for what is not UTF-8."""
    try:
        return [unquote_to_bytes(segment).decode() for segment in raw_path.lstrip(b"/").split(b"/")]
    except UnicodeDecodeError:
        raise not_found() from None


def _match(pattern: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    if _REST in pattern:
        before, after = pattern[: pattern.index(_REST)], pattern[pattern.index(_REST) + 1 :]
        if len(segments) <= len(before) + len(after):
            return None
        end = len(segments) - len(after)
        rest = "/".join(segments[len(before) : end])
        segments = [*segments[: len(before)], rest, *segments[end:]]
    if len(segments) != len(pattern):
        return None
    parameters = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if expected.startswith("{"):
            if not segment:
                return None
            parameters[expected.strip("{}.")] = segment
        elif expected != segment:
            return None
    return parameters
