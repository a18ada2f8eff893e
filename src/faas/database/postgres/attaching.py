"""The embedded Postgres of a data directory for commands: the server that runs there, or else one for the command."""

import asyncio
import time
from pathlib import Path

from faas.database.postgres.server import EmbeddedPostgres
from faas.errors import ConfigurationError, DataDirectoryInUse

_ATTACH_TIMEOUT_SECONDS = 60.0  # for a server that is starting, or restarting after a crash


def existing_cluster(data_dir: Path) -> EmbeddedPostgres:
    """Return the embedded Postgres of `data_dir`. Raises ConfigurationError when there is none."""
    postgres = EmbeddedPostgres(data_dir)
    try:
        exists = (postgres.cluster / "PG_VERSION").exists()
    except PermissionError:
        raise ConfigurationError(
            f"data directory {data_dir}: Permission denied; run this as the user of its server"
        ) from None
    if not exists:
        raise ConfigurationError(f"there is no database in {data_dir}: name its --data-dir, or its --database-url")
    return postgres


async def attach_or_start(postgres: EmbeddedPostgres) -> bool:
    """Use the server that another process runs on the data directory and return True, or start one and return False.

    `postgres.stop` ends what this began. Raises ConfigurationError.
    """
    deadline = time.monotonic() + _ATTACH_TIMEOUT_SECONDS
    while not postgres.attach():
        try:
            await postgres.start()
        except DataDirectoryInUse:  # the server of another process is starting or stopping
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return False
    return True


async def attach(postgres: EmbeddedPostgres) -> None:
    """Use the server that another process runs on the data directory, which may be restarting it.

    `postgres.stop` ends what this began. Raises ConfigurationError.
    """
    deadline = time.monotonic() + _ATTACH_TIMEOUT_SECONDS
    while not postgres.attach():
        if time.monotonic() > deadline:
            raise ConfigurationError(f"the Postgres of {postgres.data_dir} does not answer")
        await asyncio.sleep(0.1)
