"""Routes of secrets: set, list, get without the value, delete. No answer has a value, an error neither."""

from typing import Any

from litestar import Request, Response, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, RawBody

from faas.api import bodies, pagination
from faas.api.access import caller_of
from faas.api.mappers import secret_response
from faas.api.responses import json_response
from faas.api.route_table import needs
from faas.secret_store.service import SecretService


@put("/secrets/{name:str}", opt=needs("admin"))
async def set_secret(
    request: Request[Any, Any, Any], name: FromPath[str], body: RawBody, secrets: NamedDependency[SecretService]
) -> Response[bytes]:
    """Create a secret, or replace all of it. Executions have the new value within a second."""
    content_type = request.headers.get("content-type", "")
    requested = await bodies.decode(body, content_type, bodies.secret_request_decoder)
    stored = await secrets.set(
        caller_of(request), name, value=requested.value, hosts=requested.hosts, functions=requested.functions
    )
    return json_response(secret_response(stored.secret), status=201 if stored.created else 200)


@get("/secrets", opt=needs("admin"))
async def list_secrets(request: Request[Any, Any, Any], secrets: NamedDependency[SecretService]) -> Response[bytes]:
    """List secrets by name, without their values."""
    page = pagination.parse_page("/secrets", request.query_params, {}, pagination.parse_name_cursor)
    found = await secrets.list(limit=page.limit + 1, cursor=page.cursor)
    items = found[: page.limit]
    headers = pagination.next_link(page, items[-1].name if len(found) > len(items) else None)
    return json_response([secret_response(item) for item in items], headers=headers)


@get("/secrets/{name:str}", opt=needs("admin"))
async def get_secret(name: FromPath[str], secrets: NamedDependency[SecretService]) -> Response[bytes]:
    """Return a secret without its value."""
    return json_response(secret_response(await secrets.get(name)))


@delete("/secrets/{name:str}", opt=needs("admin"), status_code=204)
async def delete_secret(
    request: Request[Any, Any, Any], name: FromPath[str], secrets: NamedDependency[SecretService]
) -> None:
    """Delete a secret that no kept revision names."""
    await secrets.delete(caller_of(request), name)
