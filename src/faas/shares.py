"""What each worker of a server gets of the settings, so that all of them together keep to these."""

import math

import msgspec

from faas.settings import Settings

# Beside the pool: those of the listener, the heartbeat, access, the recorder (3), retention and an engine upgrade.
OWN_CONNECTIONS = 8
COMPILER_ROLE_CONNECTIONS = 4  # a process of this role has no recorder and no retention
_LEAST_POOL = 4  # connections of a worker's pool
# For commands and psql, and the connections of a worker that has just ended.
_SPARE_CONNECTIONS = 20


def share_of(settings: Settings, *, first: bool) -> Settings:
    """Return the settings of one worker. The `first` one compiles.

    The others have one process that precompiles modules, for executions of what no cache has.
    """
    if settings.workers == 1:
        return settings
    return msgspec.structs.replace(
        settings,
        database_pool=max(_LEAST_POOL, math.ceil(settings.database_pool / settings.workers)),
        compile_workers=settings.compile_workers if first else 1,
    )


def own_connections(settings: Settings) -> int:
    """Return how many connections a process of the role opens beside its pool."""
    return COMPILER_ROLE_CONNECTIONS if settings.role == "compiler" else OWN_CONNECTIONS


def connections_of(settings: Settings) -> int:
    """Return how many connections to the database a server opens at most, while no worker is replaced."""
    return settings.workers * (share_of(settings, first=True).database_pool + own_connections(settings))


def embedded_connections(settings: Settings) -> int:
    """Return how many connections the embedded Postgres of a server must accept."""
    replacement = share_of(settings, first=True).database_pool + OWN_CONNECTIONS
    return connections_of(settings) + replacement + _SPARE_CONNECTIONS
