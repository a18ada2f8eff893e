"""Routes of tokens: create, list, revoke."""

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, RawBody

from faas.access.service import TokenService
from faas.api import bodies, pagination
from faas.api.access import caller_of
from faas.api.mappers import new_token_response, token_draft, token_response
from faas.api.responses import json_response
from faas.api.route_table import needs


@post("/tokens", opt=needs("admin"))
async def create_token(
    request: Request[Any, Any, Any], body: RawBody, tokens: NamedDependency[TokenService]
) -> Response[bytes]:
    """Make a token, whose text is in this answer and nowhere else."""
    content_type = request.headers.get("content-type", "")
    requested = await bodies.decode(body, content_type, bodies.token_request_decoder)
    new = await tokens.create(caller_of(request), token_draft(requested))
    return json_response(new_token_response(new), status=201, headers={"Cache-Control": "no-store"})


@get("/tokens", opt=needs("admin"))
async def list_tokens(request: Request[Any, Any, Any], tokens: NamedDependency[TokenService]) -> Response[bytes]:
    """List tokens by name, revoked and expired ones too."""
    page = pagination.parse_page("/tokens", request.query_params, {}, pagination.parse_name_cursor)
    found = await tokens.list(limit=page.limit + 1, cursor=page.cursor)
    items = found[: page.limit]
    headers = pagination.next_link(page, items[-1].name if len(found) > len(items) else None)
    return json_response([token_response(item) for item in items], headers=headers)


@delete("/tokens/{token_id:str}", opt=needs("admin"), status_code=204)
async def revoke_token(
    request: Request[Any, Any, Any], token_id: FromPath[str], tokens: NamedDependency[TokenService]
) -> None:
    """Revoke a token, which stays in the list. Every process refuses it within 2 s."""
    await tokens.revoke(caller_of(request), token_id)
