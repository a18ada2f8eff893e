"""Pagination of lists: `limit`, `cursor` and filters in the query, a `Link` to the next page in the response."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from faas.errors import InvalidRequest
from faas.function_ref import parse_uuid

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200


class Page(msgspec.Struct, frozen=True):
    """The requested part of a list. `filters` has every filter of the list, None for those that are not used."""

    path: str
    limit: int
    cursor: UUID | None
    filters: Mapping[str, str | None]


def parse_page(path: str, query: Mapping[str, Any], filters: Mapping[str, Sequence[str]]) -> Page:
    """Return the page that `query` requests. Raises InvalidRequest.

    `filters` has the list's filters with the values that each of them accepts.
    """
    for name in query:
        if name not in {"limit", "cursor", *filters}:
            accepted = ", ".join(["limit", "cursor", *filters])
            raise InvalidRequest(name[:100], f"is not a parameter of this list; accepted are {accepted}")
    limit = query.get("limit", str(DEFAULT_PAGE_SIZE))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 5 and 1 <= int(limit) <= MAX_PAGE_SIZE):
        raise InvalidRequest("limit", f"{limit[:100]!r} is not a whole number from 1 to {MAX_PAGE_SIZE}")
    chosen: dict[str, str | None] = dict.fromkeys(filters)
    for name, accepted_values in filters.items():
        if name in query:
            if query[name] not in accepted_values:
                raise InvalidRequest(name, f"{query[name][:100]!r} is not one of {', '.join(accepted_values)}")
            chosen[name] = query[name]
    return Page(path, int(limit), _parse_cursor(query.get("cursor")), chosen)


def next_link(page: Page, items: Sequence[Any], more: bool) -> dict[str, str]:
    """Return the `Link` header from `items`, those of `page`, to the next page; no header if there are no more."""
    if not more:
        return {}
    query = {"limit": page.limit, "cursor": items[-1].id, **{k: v for k, v in page.filters.items() if v is not None}}
    return {"Link": f'<{page.path}?{urlencode(query)}>; rel="next"'}


def _parse_cursor(text: str | None) -> UUID | None:
    if text is None:
        return None
    cursor = parse_uuid(text)
    if cursor is None:
        raise InvalidRequest("cursor", f"{text[:100]!r} is not a cursor; take it from a Link header")
    return cursor
