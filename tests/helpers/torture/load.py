"""The clients of a torture run: each sends one request at a time to a random server."""

import asyncio
import random

import httpx

from tests.helpers.torture.actions import DEPLOYS, WEIGHTS, Action, Caller
from tests.helpers.torture.backlog import Backlog
from tests.helpers.torture.servers import KilledServers

_PAUSE_SECONDS = 0.02
_TIMEOUT_SECONDS = 30


async def run_client(caller: Caller, servers: KilledServers, backlog: Backlog, over: asyncio.Event) -> None:
    """Send requests to random servers, one at a time, until `over` is set."""
    connections: dict[str, httpx.AsyncClient] = {}
    try:
        while not over.is_set():
            await asyncio.sleep(_PAUSE_SECONDS)
            urls = [server.url for server in servers.running]
            for gone in connections.keys() - set(urls):
                await connections.pop(gone).aclose()
            if not urls:
                continue
            url = caller.choose.choice(urls)
            if url not in connections:
                connections[url] = httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_SECONDS, trust_env=False)
            await _act(caller, connections[url], _chosen(caller.choose, backlog))
    finally:
        for http in connections.values():
            await http.aclose()


async def _act(caller: Caller, http: httpx.AsyncClient, action: Action) -> None:
    caller.turn += 1
    try:
        await action(caller, http)
    except httpx.TimeoutException:
        caller.ledger.report(f"no answer to {action.__name__} within {_TIMEOUT_SECONDS} s")
    except httpx.TransportError:  # the server was killed: the request is not acknowledged
        caller.ledger.lost[action.__name__] += 1


def _chosen(choose: random.Random, backlog: Backlog) -> Action:
    weights = {action: weight for action, weight in WEIGHTS.items() if not (backlog.full and action in DEPLOYS)}
    (action,) = choose.choices(list(weights), list(weights.values()))
    return action
