"""Typed functions for the statements of sql/queries/secret_store.sql, one for each statement."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from faas.database.pool import Connection
from faas.database.queries import load

_sql = load("secret_store")


class SecretRow(msgspec.Struct, frozen=True, kw_only=True):
    """A secret without its sealed value."""

    name: str
    key_id: str
    hosts: list[str] | None
    functions: list[str]
    created_by: str | None
    created_at: datetime
    updated_by: str | None
    updated_at: datetime


class SealedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed value, and what it is bound to."""

    name: str
    sealed: bytes
    key_id: str
    hosts: list[str] | None
    functions: list[str]


class AdmissionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A secret, and which functions may name it."""

    name: str
    functions: list[str]


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key, and how many secrets are sealed under it."""

    key_id: str
    secrets: int


class UseRow(msgspec.Struct, frozen=True, kw_only=True):
    """A revision that names a secret, and how many there are."""

    function_name: str
    revision: int
    uses: int


async def lock_secrets(connection: Connection) -> None:
    """Wait until no other transaction changes a secret; none does until this one ends."""
    await _sql.lock_secrets(connection)


async def list_keys(connection: Connection) -> list[KeyRow]:
    """Return the keys that secrets are sealed under."""
    return [KeyRow(**row) async for row in _sql.list_keys(connection)]


async def put_secret(
    connection: Connection,
    *,
    name: str,
    sealed: bytes,
    key_id: str,
    hosts: Sequence[str] | None,
    functions: Sequence[str],
    caller: str | None,
) -> SecretRow:
    """Insert a secret, or replace the one of this name."""
    row = await _sql.put_secret(
        connection, name=name, sealed=sealed, key_id=key_id, hosts=hosts, functions=functions, caller=caller
    )
    return SecretRow(**row)


async def find_secret(connection: Connection, *, name: str) -> SecretRow | None:
    """Return the secret, or None."""
    row = await _sql.find_secret(connection, name=name)
    return SecretRow(**row) if row else None


async def list_secrets(connection: Connection, *, cursor: str | None, limit: int) -> list[SecretRow]:
    """Return up to `limit` secrets by name, after the name `cursor` where given."""
    rows = _sql.list_secrets(connection, cursor=cursor, limit=limit)
    return [SecretRow(**row) async for row in rows]


async def lock_secret(connection: Connection, *, name: str) -> str | None:
    """Wait for deploys that name the secret, and keep others waiting; return its name, None where there is none."""
    found: str | None = await _sql.lock_secret(connection, name=name)
    return found


async def find_use(connection: Connection, *, name: str) -> UseRow | None:
    """Return a kept revision that names the secret, or None."""
    row = await _sql.find_use(connection, name=name)
    return UseRow(**row) if row else None


async def delete_secret(connection: Connection, *, name: str) -> None:
    """Delete a secret."""
    await _sql.delete_secret(connection, name=name)


async def lock_named(connection: Connection, *, names: Sequence[str]) -> list[AdmissionRow]:
    """Return which functions the secrets of these names admit, and keep them from being deleted until the end."""
    return [AdmissionRow(**row) async for row in _sql.lock_named(connection, names=names)]


async def list_sealed(connection: Connection, *, names: Sequence[str]) -> list[SealedRow]:
    """Return the sealed values of the secrets of these names."""
    return [SealedRow(**row) async for row in _sql.list_sealed(connection, names=names)]
