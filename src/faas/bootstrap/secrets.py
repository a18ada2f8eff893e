"""The secrets of a process, and the warning of a start without their key."""

from pathlib import Path

import msgspec
import structlog

from faas.database.pool import Pool, acquire
from faas.secret_store.key_file import Keyring
from faas.secret_store.service import SecretService
from faas.secret_store.state import describe_state
from faas.secret_store.vault import SecretVault

log = structlog.get_logger()


class Secrets(msgspec.Struct, frozen=True):
    """What a process has of secrets: `service` changes them, `vault` opens them for executions."""

    keyring: Keyring
    vault: SecretVault
    service: SecretService


async def open_secrets(pool: Pool, key_file: Path) -> Secrets:
    """Return the secrets of the database. Logs a warning where `key_file` does not open all of them.

    Functions that name none run without it. Raises DatabaseUnavailable.
    """
    keyring = Keyring(key_file)
    async with acquire(pool) as connection:
        state = await describe_state(connection, keyring)
    if state.startswith("DOWN"):
        log.warning("secrets.not_opened", reason=state.removeprefix("DOWN: "))
    vault = SecretVault(pool, keyring)
    return Secrets(keyring, vault, SecretService(pool, keyring, vault))
