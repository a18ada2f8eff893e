"""The vault: opens secrets for executions, and keeps what it opened for a second."""

import asyncio
from collections.abc import Iterable
from weakref import WeakValueDictionary

import msgspec
import structlog

from faas.database.pool import Pool, acquire
from faas.errors import SecretKeyUnavailable, SecretUnavailable
from faas.function_patterns import FunctionPatterns
from faas.secret_store import queries
from faas.secret_store.key_file import Keyring
from faas.secret_store.model import ResolvedSecret
from faas.secret_store.queries import SealedRow
from faas.secret_store.sealing import Binding

log = structlog.get_logger()

KEEP_SECONDS = 1.0


class _OpenedSecret(msgspec.Struct, frozen=True, eq=False):
    """A secret as it was in the database at the time `read_at` of the event loop."""

    secret: ResolvedSecret
    functions: FunctionPatterns
    read_at: float


class SecretVault:
    """The values of the secrets in the database of `pool`, opened with the key of `keyring`. For one event loop."""

    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring
        self._opened: dict[str, _OpenedSecret] = {}
        self._changes = 0
        self._reading: WeakValueDictionary[tuple[str, ...], asyncio.Lock] = WeakValueDictionary()

    async def resolve(self, function_name: str, names: Iterable[str]) -> dict[str, ResolvedSecret]:
        """Return the secrets of these names for an execution of the function, as they were at most 1 s ago.

        `function_name` is the name that the function has now. Raises SecretUnavailable with a message for the author of
        the function, DatabaseUnavailable.
        """
        wanted = tuple(sorted(set(names)))
        if not wanted:
            return {}
        found = self._find(wanted)
        if found is None:
            # Executions of one function that come at once share a reading.
            reading = self._reading.setdefault(wanted, asyncio.Lock())
            async with reading:
                found = self._find(wanted)
                if found is None:
                    found = await self._read(wanted)
        for name, opened in found.items():
            if not opened.functions.admits(function_name):
                raise SecretUnavailable(
                    name,
                    f"it does not admit the function {function_name!r}; an operator allows it with "
                    f"`faas secret set {name} --function {function_name}`, with a --function for each pattern",
                )
        return {name: opened.secret for name, opened in found.items()}

    def forget(self, name: str) -> None:
        """Drop what was opened of a secret that this process has changed; no reading under way brings it back."""
        self._changes += 1
        self._opened.pop(name, None)

    def _find(self, names: tuple[str, ...]) -> dict[str, _OpenedSecret] | None:
        """Return what was opened of all these secrets, None if one has to be read."""
        oldest = asyncio.get_running_loop().time() - KEEP_SECONDS
        found = {name: opened for name in names if (opened := self._opened.get(name)) and opened.read_at > oldest}
        return found if len(found) == len(names) else None

    async def _read(self, names: tuple[str, ...]) -> dict[str, _OpenedSecret]:
        changes, read_at = self._changes, asyncio.get_running_loop().time()
        async with acquire(self._pool) as connection:
            rows = {row.name: row for row in await queries.list_sealed(connection, names=names)}
        opened = {}
        for name in names:
            if name not in rows:
                raise SecretUnavailable(name, "it was deleted")
            opened[name] = await self._open(rows[name], read_at)
        if changes == self._changes:
            for name, secret in opened.items():
                self._keep(name, secret)
        return opened

    async def _open(self, row: SealedRow, read_at: float) -> _OpenedSecret:
        try:
            key = await self._keyring.find(row.key_id)
        except SecretKeyUnavailable as error:
            log.error("secret.not_opened", name=row.name, error=str(error))
            key = None
        if key is None:
            raise SecretUnavailable(
                row.name, "this server does not have the key that it is sealed under; its /health says more"
            )
        hosts = None if row.hosts is None else tuple(row.hosts)
        value = key.open(row.sealed, Binding(name=row.name, hosts=hosts, functions=row.functions))
        if value is None:
            log.error("secret.seal_broken", name=row.name, key_id=row.key_id)
            raise SecretUnavailable(
                row.name, "its row in the database was changed, so that its seal is broken; an operator sets it again"
            )
        return _OpenedSecret(ResolvedSecret(value, hosts or ()), FunctionPatterns(tuple(row.functions)), read_at)

    def _keep(self, name: str, opened: _OpenedSecret) -> None:
        self._opened[name] = opened

        def drop() -> None:  # an idle process keeps no values
            if self._opened.get(name) is opened:
                del self._opened[name]

        asyncio.get_running_loop().call_later(KEEP_SECONDS, drop)
