"""Pagination of lists: `limit`, `cursor` and filters in the query, a `Link` to the next page in the response."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from faas.errors import InvalidRequest
from faas.function_ref import parse_revision, parse_uuid

C = TypeVar("C", UUID, int, str)

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200


class Page(msgspec.Struct, Generic[C], frozen=True):
    """The requested part of a list. `filters` has every filter of the list, None for those that are not used."""

    path: str
    limit: int
    cursor: C | None
    filters: Mapping[str, str | None]


def parse_page(
    path: str, query: Mapping[str, Any], filters: Mapping[str, Sequence[str]], parse_cursor: Callable[[str], C]
) -> Page[C]:
    """Return the page that `query` requests. Raises InvalidRequest.

    `filters` has the list's filters with the values that each of them accepts; `parse_cursor` is of this module.
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
    cursor = query.get("cursor")
    return Page(path, int(limit), None if cursor is None else parse_cursor(cursor), chosen)


def next_link(page: Page[C], cursor: C | None) -> dict[str, str]:
    """Return the `Link` header from `page` to the one that starts at `cursor`; no header for None."""
    if cursor is None:
        return {}
    query = {"limit": page.limit, "cursor": cursor, **{k: v for k, v in page.filters.items() if v is not None}}
    return {"Link": f'<{page.path}?{urlencode(query)}>; rel="next"'}


def parse_id_cursor(text: str) -> UUID:
    """Return the cursor of a list that is ordered by id. Raises InvalidRequest."""
    cursor = parse_uuid(text)
    if cursor is None:
        raise _not_a_cursor(text)
    return cursor


def parse_name_cursor(text: str) -> str:
    """Return the cursor of a list that is ordered by name. Raises InvalidRequest."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text):
        raise _not_a_cursor(text)
    return text


def parse_number_cursor(text: str) -> int:
    """Return the cursor of a list that is ordered by number. Raises InvalidRequest."""
    try:
        return parse_revision(text)
    except InvalidRequest:
        raise _not_a_cursor(text) from None


def _not_a_cursor(text: str) -> InvalidRequest:
    return InvalidRequest("cursor", f"{text[:100]!r} is not a cursor; take it from a Link header")
