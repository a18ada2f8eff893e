"""The gate of the API: where the database is away, and in several processes."""

import pytest

from faas.access.authenticator import OUTAGE_SECONDS, Authenticator
from faas.api.access import AccessGate
from faas.database.pool import Pool, open_pool
from faas.errors import DatabaseUnavailable, NotAuthenticated, RateLimited, TooManyAttempts
from faas.shared_limits import SharedMemory
from tests.helpers.access import bearer, make_token
from tests.helpers.clock import Clock

ADDRESS = "192.0.2.1"
WRONG = f"faas_{'a' * 12}_{'b' * 32}"


async def test_gate_without_the_database_counts_no_failures(database_url: str, pool: Pool) -> None:
    token, clock = await make_token(pool, "a", "read"), Clock()
    async with open_pool(database_url, 1) as own_pool:
        authenticator = Authenticator(own_pool, clock)
        gate = AccessGate(authenticator, auth="required", beyond_loopback=False, clock=clock)
        await authenticator.read()
        own_pool.terminate()
        clock.now += OUTAGE_SECONDS + 1
        for text in (WRONG, token.text):
            for _ in range(50):
                with pytest.raises(DatabaseUnavailable):
                    await gate.admit(ADDRESS, [bearer(text)["Authorization"].encode()], ["read"])
    async with open_pool(database_url, 1) as own_pool:
        authenticator._pool = own_pool
        await authenticator.read()
        admitted = await gate.admit(ADDRESS, [bearer(token)["Authorization"].encode()], ["read"])
        assert admitted.caller.token_name == "a"
        for expected in [NotAuthenticated] * 20 + [TooManyAttempts]:
            with pytest.raises(expected):
                await gate.admit(ADDRESS, [bearer(WRONG)["Authorization"].encode()], ["read"])


async def test_gates_of_workers_limit_tokens_and_failures_together(database_url: str, pool: Pool) -> None:
    token, clock = await make_token(pool, "a", "read", per_second=3.0), Clock()
    memory = SharedMemory.create(4)
    async with open_pool(database_url, 1) as own_pool:
        gates = []
        for slot in (0, 1):
            authenticator = Authenticator(own_pool, clock)
            await authenticator.read()
            shared = memory.limits(slot)
            gates.append(AccessGate(authenticator, auth="required", beyond_loopback=False, shared=shared, clock=clock))
        one, two = gates
        good, wrong = ([bearer(text)["Authorization"].encode()] for text in (token.text, WRONG))
        remaining = [(await gate.admit(ADDRESS, good, ["read"])).headers["RateLimit"] for gate in (one, two, one)]
        assert remaining == ['"token";r=2;t=1', '"token";r=1;t=1', '"token";r=0;t=1']
        for gate in (two, one):
            with pytest.raises(RateLimited):
                await gate.admit(ADDRESS, good, ["read"])
        clock.now += 1.0
        for number in range(20):
            with pytest.raises(NotAuthenticated):
                await gates[number % 2].admit(ADDRESS, wrong, ["read"])
        for gate in gates:
            with pytest.raises(TooManyAttempts):
                await gate.admit(ADDRESS, wrong, ["read"])
            assert (await gate.admit(ADDRESS, good, ["read"])).caller.token_name == "a"  # admitted from there before
