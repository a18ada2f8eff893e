"""The routes of the mock Foundry, matched on the raw path.

The path is split into segments before each is percent-decoded: a branch `feature%2Fx` is one segment, and so is a file
path that a client has encoded whole. Frameworks that route on the decoded path cannot distinguish the two
(docs/decisions/0023-raw-paths-in-the-mock-foundry.md).
"""

from collections.abc import Awaitable, Callable
from urllib.parse import unquote_to_bytes

import msgspec

from faas.compute_module.mock_foundry.request import Request
from faas.compute_module.mock_foundry.responses import ErrorResponse, Response, not_found

Endpoint = Callable[[Request], Awaitable[Response]]

_REST = "{path...}"


class Route(msgspec.Struct, frozen=True):
    """A method and a path of fixed segments, `{name}` for any segment, and at most one `{path...}` for one or more."""

    method: str
    pattern: tuple[str, ...]
    endpoint: Endpoint


class Router:
    """The routes; the first one that matches is used."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def add(self, method: str, pattern: str, endpoint: Endpoint) -> None:
        """Add a route."""
        self._routes.append(Route(method, tuple(pattern.strip("/").split("/")), endpoint))

    def find(self, method: str, segments: list[str]) -> tuple[Endpoint, dict[str, str]]:
        """Return the endpoint and its path parameters. Raises ErrorResponse 404 or, for a wrong method, 405."""
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
            raise ErrorResponse(405, "MethodNotAllowed", "METHOD_NOT_ALLOWED", {"method": method}, header)
        raise not_found()


def split_path(raw_path: bytes) -> list[str]:
    """Return the decoded segments of a raw path. Raises ErrorResponse 404 when they are not UTF-8."""
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
