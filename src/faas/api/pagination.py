"""Lists: `limit`, `cursor` and filters in, a page and the `Link` to the next one out."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from faas.errors import InvalidRequest
from faas.function_ref import parse_uuid

LIMIT_DEFAULT = 50
LIMIT_MOST = 200


class Page(msgspec.Struct, frozen=True):
    """Which part of a list is asked for. `filters` holds every filter of the list, None where it is not used."""

    path: str
    limit: int
    cursor: UUID | None
    filters: Mapping[str, str | None]


def parse(path: str, query: Mapping[str, Any], filters: Mapping[str, Sequence[str]]) -> Page:
    """The page that `query` asks for; `filters` are the list's own, with what each accepts. Raises InvalidRequest."""
    for name in query:
        if name not in {"limit", "cursor", *filters}:
            accepted = ", ".join(["limit", "cursor", *filters])
            raise InvalidRequest(name[:100], f"is not a parameter of this list; there are {accepted}")
    text = query.get("limit", str(LIMIT_DEFAULT))
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= LIMIT_MOST):
        raise InvalidRequest("limit", f"{text[:100]!r} is not a whole number from 1 to {LIMIT_MOST}")
    chosen: dict[str, str | None] = dict.fromkeys(filters)
    for name, accepted_values in filters.items():
        if name in query:
            if query[name] not in accepted_values:
                raise InvalidRequest(name, f"{query[name][:100]!r} is not one of {', '.join(accepted_values)}")
            chosen[name] = query[name]
    return Page(path, int(text), _cursor(query.get("cursor")), chosen)


def link(page: Page, items: Sequence[Any], more: bool) -> dict[str, str]:
    """The header that leads from these items of `page` to the next ones; empty when there are no more."""
    if not more:
        return {}
    query = {"limit": page.limit, "cursor": items[-1].id, **{k: v for k, v in page.filters.items() if v is not None}}
    return {"Link": f'<{page.path}?{urlencode(query)}>; rel="next"'}


def _cursor(text: str | None) -> UUID | None:
    if text is None:
        return None
    cursor = parse_uuid(text)
    if cursor is None:
        raise InvalidRequest("cursor", f"{text[:100]!r} is not a cursor; take it from a Link header")
    return cursor
