"""The gate of a process, and the refusal to serve others than this machine without tokens."""

import sys
from contextlib import AsyncExitStack

import structlog

from faas.access.authenticator import START_TIMEOUT_SECONDS, Authenticator
from faas.api.access import AccessGate
from faas.bootstrap.background_tasks import run_in_background
from faas.client_address import ClientAddresses
from faas.database.pool import open_pool
from faas.errors import ConfigurationError
from faas.settings import Settings
from faas.shared_limits import SharedLimits
from faas.web_origin import is_loopback

log = structlog.get_logger()


async def open_gate(
    stack: AsyncExitStack, settings: Settings, url: str, shared: SharedLimits | None = None
) -> AccessGate:
    """Open the gate until `stack` closes. Raises ConfigurationError for a server that is open to others.

    `shared` has the limits of a server of several processes.
    """
    authenticator = Authenticator(await stack.enter_async_context(open_pool(url, 1)))
    await authenticator.read(START_TIMEOUT_SECONDS)
    beyond_loopback = not is_loopback(settings.host)  # a name may stand for any address
    if beyond_loopback and settings.auth != "off" and not authenticator.any_admitted:
        raise ConfigurationError(_refusal(settings))
    if beyond_loopback and settings.auth == "off":
        log.warning(
            "access.off",
            host=settings.host,
            meaning="every client that reaches the port may deploy and read everything",
        )
    await run_in_background(stack, authenticator.run(), "access")
    return AccessGate(
        authenticator,
        auth=settings.auth,
        beyond_loopback=beyond_loopback,
        client_addresses=ClientAddresses(settings.trusted_proxies),
        shared=shared,
    )


def _refusal(settings: Settings) -> str:
    place = "--database-url URL" if settings.database_url else f"--data-dir {settings.data_dir}"
    return (
        f"--host {settings.host} is reached by other machines, and there is no token: every client could deploy "
        "code and read every input. Either make a token first,\n"
        f"  {sys.argv[0]} token create admin --scope admin {place}\n"
        "or serve everyone without tokens, behind something else that keeps strangers out, with --auth off"
    )
