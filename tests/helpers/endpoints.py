"""A service in this process with all its parts, called through ASGI."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from faas.bootstrap import open_service
from faas.database.pool import open_pool
from faas.settings import Settings
from tests.helpers.support import Platform


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Platform]:
    """Serve the settings in this process, through ASGI."""
    async with (
        open_service(settings) as service,
        open_pool(service.database_url, 2) as pool,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(service.application),  # type: ignore[arg-type]
            base_url="http://localhost",
            timeout=60,
        ) as http,
    ):
        yield Platform(http, pool, service.runtime)
