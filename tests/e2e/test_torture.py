"""Kills servers at random moments under load: what was acknowledged is not lost, and all started work is completed.

`make torture SECONDS=600 KILLS=200` sets the least duration and number of kills; the seed is printed and can be passed
again. What the clients do is in tests/helpers/torture/actions.py, what must hold at the end in promises.py beside it.
"""

import asyncio
import random
import time
from functools import partial

import asyncpg
import pytest

from tests.helpers.invariants import record_ends
from tests.helpers.server import EVERY_LANGUAGE, serving
from tests.helpers.torture.actions import KEEP_REVISIONS, Caller
from tests.helpers.torture.backlog import Backlog
from tests.helpers.torture.history import record_history, transactions_end
from tests.helpers.torture.ledger import Ledger
from tests.helpers.torture.load import run_client
from tests.helpers.torture.progress import described, watch
from tests.helpers.torture.promises import assert_promises
from tests.helpers.torture.servers import killed_servers

pytestmark = [pytest.mark.slow, pytest.mark.alone]

CLIENTS = 6
BACKLOG_LIMIT = 40  # revisions that wait for their compilation
STALL_SECONDS = 60  # without any progress


async def test_torture_by_random_kills_loses_nothing(database_url: str, request: pytest.FixtureRequest) -> None:
    seconds = float(request.config.getoption("torture_seconds"))
    kills = int(request.config.getoption("torture_kills"))
    seed = int(request.config.getoption("torture_seed") or random.SystemRandom().randrange(1 << 32))
    print(f"\ntorture: seed {seed}, at least {seconds:g} s and {kills} kills", flush=True)
    choose, ledger = random.Random(seed), Ledger()
    settings = (
        *("--database-url", database_url, *EVERY_LANGUAGE, "--keep-revisions", str(KEEP_REVISIONS)),
        *("--visibility-timeout", "5s", "--poll-interval", "1s", "--log-level", "warning"),
        *("--compile-workers", "1"),  # each start also starts these
    )
    # Only the first server compiles: each start of the AssemblyScript compiler costs seconds of processor time.
    options = [settings, *[(*settings, "--role", "api")] * 3]
    async with asyncpg.create_pool(database_url, min_size=1, max_size=4) as pool:
        await record_ends(pool)
        await record_history(pool)
        backlog = Backlog(pool, BACKLOG_LIMIT)
        async with killed_servers(options, choose, ledger.report) as servers, asyncio.TaskGroup() as group:
            over = asyncio.Event()
            for number in range(CLIENTS):
                caller = Caller(number, choose, ledger, partial(transactions_end, pool))
                group.create_task(run_client(caller, servers, backlog, over))
            group.create_task(watch(pool, servers, ledger, backlog, STALL_SECONDS, over))
            group.create_task(servers.kill_until(time.monotonic() + seconds, kills, over))
        print(f"torture: {described(servers, ledger)}; left: {backlog}", flush=True)
        print(f"torture: refused {dict(ledger.refused)}, lost {dict(ledger.lost)}", flush=True)
        assert ledger.unexpected == [], f"seed {seed}"
        assert ledger.executions, f"nothing was acknowledged (seed {seed})"
        async with serving(*settings):
            await backlog.settle(STALL_SECONDS)
            await assert_promises(pool, ledger)
