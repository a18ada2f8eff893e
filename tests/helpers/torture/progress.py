"""The line that a torture run prints every few seconds, and the end of a run that makes no progress."""

import asyncio
import time

from faas.database.pool import Pool
from tests.helpers.torture.backlog import Backlog, StallDetector
from tests.helpers.torture.history import history_of
from tests.helpers.torture.ledger import Ledger
from tests.helpers.torture.servers import KilledServers

_REFRESH_SECONDS = 0.5
_LINE_SECONDS = 5


async def watch(
    pool: Pool, servers: KilledServers, ledger: Ledger, backlog: Backlog, stall_seconds: float, over: asyncio.Event
) -> None:
    """Refresh the backlog and print a line every few seconds, until `over` is set.

    Raises AssertionError when something unexpected was answered, or nothing at all for `stall_seconds`.
    """
    detector = StallDetector(stall_seconds)
    began = printed_at = time.monotonic()
    while not over.is_set():
        await asyncio.sleep(_REFRESH_SECONDS)
        await backlog.refresh()
        if time.monotonic() - printed_at >= _LINE_SECONDS:
            printed_at = time.monotonic()
            print(f"torture {_clock(printed_at - began)}: {described(servers, ledger)}; left: {backlog}", flush=True)
        detector.observe(ledger.answered.total())
        if ledger.unexpected:
            history = await history_of(pool, ledger.suspects)
            raise AssertionError("\n".join([*ledger.unexpected, *history]))


def described(servers: KilledServers, ledger: Ledger) -> str:
    """Return the numbers of a run in one line."""
    answered = ledger.answered
    deploys = answered["deploy"] + answered["create"]
    executions = answered["execute"] + answered["execute_revision"]
    return (
        f"{servers.kills} kills, {servers.restarts} restarts ({servers.start_seconds:.1f} s), "
        f"{len(ledger.functions)} functions, {deploys} deploys, {answered['promote']} promotes, "
        f"{answered['roll_back']} rollbacks, {executions} executions, {ledger.lost.total()} lost requests"
    )


def _clock(seconds: float) -> str:
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
