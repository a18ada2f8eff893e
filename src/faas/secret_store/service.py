"""Setting, listing and deleting secrets."""

from collections.abc import Sequence

import msgspec
import structlog

from faas import audit
from faas.caller import Caller
from faas.database.pool import Connection, Pool, acquire
from faas.errors import SecretInUse, SecretKeyUnavailable, SecretNotFound
from faas.function_settings import is_variable_name
from faas.secret_store import queries
from faas.secret_store.key_file import SETTING, Keyring
from faas.secret_store.model import Secret, StoredSecret
from faas.secret_store.queries import SecretRow
from faas.secret_store.sealing import Binding, SealingKey
from faas.secret_store.validation import check_name, check_value, parse_functions, parse_hosts
from faas.secret_store.vault import SecretVault

log = structlog.get_logger()


class SecretService:
    """The secrets in the database of `pool`, sealed with the key of `keyring`. Values go in and do not come out.

    `vault` opens them for executions in this process.
    """

    def __init__(self, pool: Pool, keyring: Keyring, vault: SecretVault) -> None:
        self._pool = pool
        self._keyring = keyring
        self._vault = vault

    async def set(
        self, caller: Caller, name: str, *, value: str, hosts: Sequence[str] | None, functions: Sequence[str]
    ) -> StoredSecret:
        """Create the secret, or replace all of it. Executions have the new value within a second in every process.

        The first secret makes the key. Raises InvalidRequest, PayloadTooLarge, SecretKeyUnavailable.
        """
        check_name(name)
        check_value(value)
        binding = Binding(name=name, hosts=parse_hosts(hosts), functions=parse_functions(functions))
        try:
            async with acquire(self._pool) as connection, connection.transaction():
                await queries.lock_secrets(connection)
                replaced = await queries.find_secret(connection, name=name)
                key = await self._sealing_key(connection, replaced)
                row = await queries.put_secret(
                    connection,
                    name=name,
                    sealed=key.seal(value, binding),
                    key_id=key.id,
                    hosts=binding.hosts,
                    functions=binding.functions,
                    caller=caller.token_name,
                )
                await audit.record(connection, caller, "secret.set", name)
        finally:  # also where it is not known whether the transaction was committed
            self._vault.forget(name)
        log.info("secret.set", name=name, key_id=key.id, created=replaced is None)
        return StoredSecret(_to_secret(row), created=replaced is None)

    async def get(self, name: str) -> Secret:
        """Return the secret, without its value. Raises SecretNotFound."""
        if not is_variable_name(name):  # Postgres refuses a NUL in a parameter
            raise SecretNotFound(name)
        async with acquire(self._pool) as connection:
            row = await queries.find_secret(connection, name=name)
        if row is None:
            raise SecretNotFound(name)
        return _to_secret(row)

    async def list(self, *, limit: int, cursor: str | None = None) -> list[Secret]:
        """Return up to `limit` secrets by name, without their values, after the name `cursor` where given."""
        async with acquire(self._pool) as connection:
            rows = await queries.list_secrets(connection, limit=limit, cursor=cursor)
        return [_to_secret(row) for row in rows]

    async def delete(self, caller: Caller, name: str) -> None:
        """Delete a secret that no kept revision names. Raises SecretNotFound, SecretInUse."""
        if not is_variable_name(name):
            raise SecretNotFound(name)
        try:
            async with acquire(self._pool) as connection, connection.transaction():
                await queries.lock_secrets(
                    connection
                )  # as `set`, before a row: otherwise they could wait for each other
                if await queries.lock_secret(connection, name=name) is None:
                    raise SecretNotFound(name)
                if (use := await queries.find_use(connection, name=name)) is not None:
                    raise SecretInUse(name, use.function_name, use.revision, use.uses)
                await queries.delete_secret(connection, name=name)
                await audit.record(connection, caller, "secret.deleted", name)
        finally:
            self._vault.forget(name)
        log.info("secret.deleted", name=name)

    async def _sealing_key(self, connection: Connection, replaced: SecretRow | None) -> SealingKey:
        """Return the key to seal a value with; it is made where there is none and no secret is sealed under another.

        With a file that has another key than the secrets, only a secret that this key does not open can be set: a lost
        key is replaced so, one secret after the other. Raises SecretKeyUnavailable.
        """
        key = await self._keyring.read()
        sealed_under = {row.key_id for row in await queries.list_keys(connection)}
        if key is None:
            if sealed_under:
                raise SecretKeyUnavailable(
                    f"the secrets are sealed under the key {', '.join(sorted(sealed_under))}, which this server does "
                    f"not have: put it into {SETTING}; no other one is made while they exist"
                )
            return await self._keyring.make()
        if not sealed_under <= {key.id} and (replaced is None or replaced.key_id == key.id):
            raise SecretKeyUnavailable(
                f"{SETTING} has the key {key.id}, and there are secrets sealed under "
                f"{', '.join(sorted(sealed_under - {key.id}))}: put that key there, or set those secrets again first"
            )
        return key


def _to_secret(row: SecretRow) -> Secret:
    return msgspec.convert(msgspec.structs.asdict(row), Secret)
