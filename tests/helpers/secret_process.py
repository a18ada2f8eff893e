"""Secrets for tests, and functions that name them."""

import json
from pathlib import Path
from uuid import UUID, uuid4

import msgspec

from faas.caller import OPERATOR
from faas.database.pool import Pool
from faas.secret_store.key_file import Keyring
from faas.secret_store.model import Secret
from faas.secret_store.service import SecretService
from faas.secret_store.vault import SecretVault


class SecretProcess(msgspec.Struct, frozen=True):
    """What one process has of the secrets of a database."""

    keyring: Keyring
    vault: SecretVault
    service: SecretService

    @classmethod
    def of(cls, pool: Pool, key_file: Path) -> "SecretProcess":
        """Return a process with this file of the key."""
        keyring = Keyring(key_file)
        vault = SecretVault(pool, keyring)
        return cls(keyring, vault, SecretService(pool, keyring, vault))

    async def set(
        self, name: str, value: str = "value", *, hosts: list[str] | None = None, functions: tuple[str, ...] = ("*",)
    ) -> Secret:
        """Set a secret as the command line on the database would."""
        return (await self.service.set(OPERATOR, name, value=value, hosts=hosts, functions=functions)).secret

    async def value(self, name: str, function: str = "f") -> str:
        """Return the value of a secret for an execution of the function."""
        return (await self.vault.resolve(function, [name]))[name].value


async def insert_naming_function(pool: Pool, name: str, *secrets: str) -> UUID:
    """Insert a function whose revision 1 names these secrets. Its deploy is not checked."""
    function_id = uuid4()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("INSERT INTO functions (id, name) VALUES ($1, $2)", function_id, name)
        await connection.execute(
            "INSERT INTO revisions (function_id, number, language, source, settings) VALUES ($1, 1, 'wat', 'x', $2)",
            function_id,
            json.dumps({"secrets": secrets}).encode(),
        )
    return function_id
