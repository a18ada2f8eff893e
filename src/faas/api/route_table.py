"""The route table: which methods each path accepts and which scopes they need, built from the routes."""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from litestar.handlers import HTTPRouteHandler

from faas.caller import Scope

PUBLIC: tuple[Scope, ...] = ()
"""The scopes of a route that needs no token."""

_SCOPES = "scopes"  # the key in litestar's `opt`
_PARAMETER_PATTERNS = {"str": "[^/]+", "path": ".*"}  # of litestar's path parameter types that the routes use


class Route(msgspec.Struct, frozen=True):
    """A pattern for whole paths, and the methods of the routes behind it with their scopes, of which one is enough.

    The implied HEAD and OPTIONS are left out.
    """

    pattern: re.Pattern[str]
    scopes: Mapping[str, tuple[Scope, ...]]


class RouteTable:
    """A mapping from path patterns to methods and scopes. The first pattern that fits a path decides."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = [(route.pattern, _with_implied(route.scopes), route.scopes) for route in routes]

    def allowed_methods(self, path: str) -> tuple[str, ...] | None:
        """Return the methods that `path` accepts, in alphabetical order; None if no route has this path."""
        for pattern, methods, _ in self._routes:
            if pattern.fullmatch(path):
                return methods
        return None

    def scopes(self, path: str, method: str) -> tuple[Scope, ...] | None:
        """Return the scopes of which a request needs one; PUBLIC if it needs no token; None if any token will do.

        A token is asked for also where there is nothing, so that no other client learns what there is.
        """
        for pattern, _, scopes in self._routes:
            if pattern.fullmatch(path):
                return scopes.get("GET" if method == "HEAD" else method)
        return None


def needs(*scopes: Scope) -> dict[str, tuple[Scope, ...]]:
    """Return litestar's `opt` for a route that needs one of `scopes`; without any it is PUBLIC."""
    return {_SCOPES: scopes}


def routes_of(handlers: Iterable[HTTPRouteHandler]) -> list[Route]:
    """Return the routes of litestar's route handlers, paths without parameters first, as litestar matches them.

    Raises KeyError for a handler whose `opt` does not say what it `needs`.
    """
    scopes: dict[str, dict[str, tuple[Scope, ...]]] = {}
    for handler in handlers:
        for template in handler.paths:
            scopes.setdefault(template, {}).update(
                (str(method), handler.opt[_SCOPES]) for method in handler.http_methods
            )
    templates = sorted(scopes, key=lambda template: ("{" in template, template))
    return [Route(_pattern(template), scopes[template]) for template in templates]


def _with_implied(methods: Iterable[str]) -> tuple[str, ...]:
    given = set(methods)
    return tuple(sorted(given | ({"HEAD", "OPTIONS"} if "GET" in given else {"OPTIONS"})))


def _pattern(template: str) -> re.Pattern[str]:
    """Return the pattern of a litestar path template: slashes may be repeated and may trail, as in litestar."""
    parts = [part for part in template.split("/") if part]
    return re.compile("/*" + "/+".join(map(_part_pattern, parts)) + "/*", re.DOTALL)


def _part_pattern(part: str) -> str:
    if not part.startswith("{"):
        return re.escape(part)
    return _PARAMETER_PATTERNS[part.strip("{}").partition(":")[2]]
