"""What an execution may reach, from the settings of its revision: its environment, its secrets, outbound requests."""

import secrets as random
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from uuid import UUID

from faas.database.pool import Pool, acquire
from faas.executions import queries
from faas.executions.recorder import Started
from faas.function_settings import DEFAULT_SETTINGS, FunctionSettings, decode_settings
from faas.outbound import HostSecret, OutboundClient
from faas.outbound_patterns import OutboundPatterns, parse_origin, parse_outbound
from faas.runtime import Reach
from faas.runtime.outbound_frames import FrameSession
from faas.secret_store.model import ResolvedSecret
from faas.secret_store.vault import SecretVault

_MAX_KNOWN = 4096  # revisions; their settings never change
NO_FUNCTION = UUID(int=0)
"""Stands for the function where there is none: connections are kept for each function."""


class ReachResolver:
    """Finds what executions may reach, with the secrets of `vault` and the client of outbound requests `outbound`."""

    def __init__(self, pool: Pool, vault: SecretVault, outbound: OutboundClient) -> None:
        self._pool = pool
        self._vault = vault
        self._outbound = outbound
        self._known: OrderedDict[tuple[UUID, int], FunctionSettings] = OrderedDict()
        self.nothing = reach_of(outbound, NO_FUNCTION, DEFAULT_SETTINGS, {})
        """The reach of a function whose settings name nothing: a request is refused with what would allow it."""

    async def find(self, started: Started) -> Reach:
        """Return what an execution may reach. Raises SecretUnavailable, DatabaseUnavailable."""
        settings = await self._settings(started.function_id, started.revision)
        resolved = await self._vault.resolve(started.function_name, settings.secrets) if settings.secrets else {}
        return reach_of(self._outbound, started.function_id, settings, resolved)

    async def _settings(self, function_id: UUID, revision: int) -> FunctionSettings:
        key = (function_id, revision)
        if (known := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            return known
        async with acquire(self._pool) as connection:
            document = await queries.get_settings(connection, function_id, revision)
        settings = DEFAULT_SETTINGS if document is None else decode_settings(document)  # removed in the meantime
        self._known[key] = settings
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        return settings


def reach_of(
    outbound: OutboundClient, function_id: UUID, settings: FunctionSettings, resolved: Mapping[str, ResolvedSecret]
) -> Reach:
    """Return what one execution of a function may reach. The values of secrets with hosts are not in it."""
    shown: dict[str, str] = {}
    hidden: list[HostSecret] = []
    for name, secret in resolved.items():
        if secret.hosts:
            placeholder = f"faas-secret-{name}-{random.token_hex(16)}"
            hidden.append(HostSecret(placeholder, secret.value, frozenset(map(parse_origin, secret.hosts))))
        shown[name] = placeholder if secret.hosts else secret.value
    patterns = _patterns_of(settings.outbound)

    def open_session(remaining: Callable[[], float], wake: Callable[[], None]) -> FrameSession:
        return FrameSession(outbound.session(function_id, patterns, hidden, remaining, wake))

    return Reach(variables=settings.env, secrets=shown, open_session=open_session)


@lru_cache(maxsize=_MAX_KNOWN)
def _patterns_of(texts: tuple[str, ...]) -> OutboundPatterns:
    return parse_outbound(texts)
