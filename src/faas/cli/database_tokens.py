"""The tokens in a database, whether or not a server uses it: how the first token is made."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
import msgspec

from faas.access.model import TokenDraft
from faas.access.service import TokenService
from faas.api.mappers import new_token_response, token_response
from faas.bootstrap import open_database, open_existing_database
from faas.caller import OPERATOR
from faas.database.migrations import files
from faas.database.pool import one_line, open_pool
from faas.errors import ConfigurationError, DatabaseUnavailable, FaasError
from faas.settings import Settings

_PAGE = 200
T = TypeVar("T")


class DatabaseTokens:
    """The tokens in the database of the settings. Changes are recorded as made on the database."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.place = "in the database of --database-url" if settings.database_url else f"in {settings.data_dir}"

    def create(self, draft: TokenDraft) -> tuple[dict[str, Any], bool]:
        """Make a token, and the database before it if there is none.

        Returns it with its text, and whether it is the first one. Raises ConfigurationError, TokenNameTaken, FaasError.
        """

        async def work(tokens: TokenService) -> tuple[dict[str, Any], bool]:
            first = not await tokens.list(limit=1)
            return msgspec.to_builtins(new_token_response(await tokens.create(OPERATOR, draft))), first

        return asyncio.run(self._run(work, create=True))

    def list(self) -> list[dict[str, Any]]:
        """Return all tokens by name. Raises ConfigurationError, FaasError."""

        async def work(tokens: TokenService) -> list[dict[str, Any]]:
            found = page = await tokens.list(limit=_PAGE)
            while len(page) == _PAGE:
                page = await tokens.list(limit=_PAGE, cursor=page[-1].name)
                found += page
            return [msgspec.to_builtins(token_response(token)) for token in found]

        return asyncio.run(self._run(work))

    def revoke(self, reference: str) -> tuple[str, bool]:
        """Revoke a token by its name or id. Returns its name, and whether it was revoked before.

        Raises ConfigurationError, TokenNotFound, FaasError.
        """

        async def work(tokens: TokenService) -> tuple[str, bool]:
            token = await tokens.find(reference)
            await tokens.revoke(OPERATOR, token.id)
            return token.name, token.revoked_at is not None

        return asyncio.run(self._run(work))

    async def _run(self, work: Callable[[TokenService], Awaitable[T]], *, create: bool = False) -> T:
        async with self._open(create=create) as url, open_pool(url, 1) as pool:
            try:
                return await work(TokenService(pool))
            except DatabaseUnavailable as error:
                raise FaasError(f"the database went away: {error}; `faas token list` shows what was done") from None
            except asyncpg.PostgresError as error:
                raise ConfigurationError(f"the database refuses this: {one_line(error)}") from None

    @asynccontextmanager
    async def _open(self, *, create: bool) -> AsyncIterator[str]:
        if create:
            async with open_database(self._settings, attach=True) as (url, applied):
                # A server of another --data-dir, or of another user, will not know the token.
                if not self._settings.database_url and files()[0].stem in applied:
                    self.place += ", where there was no database yet"
                yield url
        else:
            async with open_existing_database(self._settings) as url:
                yield url
