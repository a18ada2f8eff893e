"""Databases of tests: made from a template ahead of the test, and dropped beside the next ones."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from uuid import uuid4

import asyncpg

from tests.helpers.support import replaced_database

_TIMEOUT_SECONDS = 3600.0  # the event loop of a session does not run during tests that are not asynchronous


class DatabaseFactory:
    """Makes databases from `template` on the server of `admin_url`. A test waits for neither CREATE nor DROP DATABASE."""

    def __init__(self, admin_url: str, template: str) -> None:
        self._admin_url = admin_url
        self._template = template
        self._next: asyncio.Task[str] | None = None
        self._drops: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> "DatabaseFactory":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drop all databases."""
        if self._next is not None:
            await self._drop(await self._next)
        await asyncio.gather(*self._drops)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """Return the URL of a database of its own."""
        made, self._next = self._next, None  # one that could not be made fails one test, and not all that follow
        name = await (made or self._create())
        self._next = asyncio.create_task(self._create())
        try:
            yield replaced_database(self._admin_url, name)
        finally:
            drop = asyncio.create_task(self._drop(name))
            self._drops.add(drop)
            drop.add_done_callback(self._drops.discard)

    async def _create(self) -> str:
        name = f"test_{uuid4().hex}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return name

    async def _drop(self, name: str) -> None:
        await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def _execute(self, statement: str) -> None:
        async with self._one_at_a_time:
            admin = await asyncpg.connect(self._admin_url, timeout=_TIMEOUT_SECONDS)
            try:
                await admin.execute(statement)
            finally:
                await admin.close()
