"""The route of the audit trail."""

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency

from faas.api import pagination
from faas.api.mappers import audit_entry_response
from faas.api.responses import json_response
from faas.api.route_table import needs
from faas.audit import AuditTrail


@get("/audit", opt=needs("admin"))
async def list_audit(request: Request[Any, Any, Any], audit: NamedDependency[AuditTrail]) -> Response[bytes]:
    """List the changes on record, newest first."""
    page = pagination.parse_page("/audit", request.query_params, {}, pagination.parse_id_cursor)
    found = await audit.list(limit=page.limit + 1, cursor=page.cursor)
    items = found[: page.limit]
    headers = pagination.next_link(page, items[-1].id if len(found) > len(items) else None)
    return json_response([audit_entry_response(item) for item in items], headers=headers)
