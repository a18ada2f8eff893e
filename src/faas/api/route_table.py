"""The route table: which methods each path accepts, built from the routes."""

import re
from collections.abc import Iterable, Sequence

import msgspec
from litestar.handlers import HTTPRouteHandler

_PARAMETER_PATTERNS = {"str": "[^/]+", "path": ".*"}  # of litestar's path parameter types that the routes use


class Route(msgspec.Struct, frozen=True):
    """A pattern for whole paths and the methods of the routes behind it, without the implied HEAD and OPTIONS."""

    pattern: re.Pattern[str]
    methods: frozenset[str]


class RouteTable:
    """A mapping from path patterns to methods. The first pattern that fits a path decides."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = [(route.pattern, _with_implied(route.methods)) for route in routes]

    def allowed_methods(self, path: str) -> tuple[str, ...] | None:
        """Return the methods that `path` accepts, in alphabetical order; None if no route has this path."""
        for pattern, methods in self._routes:
            if pattern.fullmatch(path):
                return methods
        return None


def routes_of(handlers: Iterable[HTTPRouteHandler]) -> list[Route]:
    """Return the routes of litestar's route handlers, paths without parameters first, as litestar matches them."""
    methods: dict[str, set[str]] = {}
    for handler in handlers:
        for template in handler.paths:
            methods.setdefault(template, set()).update(str(method) for method in handler.http_methods)
    templates = sorted(methods, key=lambda template: ("{" in template, template))
    return [Route(_pattern(template), frozenset(methods[template])) for template in templates]


def _with_implied(methods: frozenset[str]) -> tuple[str, ...]:
    implied = {"HEAD", "OPTIONS"} if "GET" in methods else {"OPTIONS"}
    return tuple(sorted(methods | implied))


def _pattern(template: str) -> re.Pattern[str]:
    """Return the pattern of a litestar path template: slashes may be repeated and may trail, as in litestar."""
    parts = [part for part in template.split("/") if part]
    return re.compile("/*" + "/+".join(map(_part_pattern, parts)) + "/*", re.DOTALL)


def _part_pattern(part: str) -> str:
    if not part.startswith("{"):
        return re.escape(part)
    return _PARAMETER_PATTERNS[part.strip("{}").partition(":")[2]]
