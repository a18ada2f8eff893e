"""Telling who makes a request: every admitted token is in memory, and a counter in the database says when they change.

A request is checked without a statement. The counter is read twice a second on a connection of its own, not with
LISTEN: a notification can be lost with its connection, a reading cannot. So a revoked token is refused within two
seconds while the database is reachable; while it is not, the tokens that were known go on for a minute.
"""

import asyncio
import hmac
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Literal, get_args

import asyncpg
import msgspec
import structlog

from faas.access import queries
from faas.access.queries import AdmittedTokenRow
from faas.access.token_text import TokenText
from faas.caller import Caller, Scope
from faas.database.pool import Connection, Pool, acquire
from faas.errors import DatabaseUnavailable
from faas.function_patterns import FunctionPatterns
from faas.rate import Rate

log = structlog.get_logger()

POLL_SECONDS = 0.5
FRESH_SECONDS = 2.0  # for which what was read counts as the present state
OUTAGE_SECONDS = 60.0  # for which known tokens go on without the database
START_TIMEOUT_SECONDS = 10.0  # of the first reading
_READ_TIMEOUT_SECONDS = 1.0
_LIST_SECONDS = 60.0  # after which tokens are read again although none has changed: clocks do not run alike
_USE_SECONDS = 10.0  # between two writes of the times of last use
_NO_DIGEST = bytes(32)

Verdict = Literal["refused", "unknown", "unavailable"]


class KnownToken(msgspec.Struct):
    """An admitted token. `used_at` is the time of its last use that is still to be recorded."""

    caller: Caller
    secret_digest: bytes
    expires_at: float
    rate: Rate | None
    used_at: float | None = None


class Authenticator:
    """The tokens in the database of `pool`, which has one connection and no other use. `clock` returns seconds.

    `run` keeps them up to date; until its first reading, or that of `read`, nothing is known. Use from one event loop.
    """

    def __init__(self, pool: Pool, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._tokens: dict[str, KnownToken] = {}
        self._number: int | None = None
        self._listed_at = -math.inf
        self._any_token = False
        self._read_at = -math.inf
        self._reading: asyncio.Task[None] | None = None
        self._recorded_at = clock()

    @property
    def any_token(self) -> bool:
        """Whether there has been a token, revoked and expired ones included, at the last reading."""
        return self._any_token

    @property
    def any_admitted(self) -> bool:
        """Whether there was a token at the last reading that is neither revoked nor expired."""
        now = self._clock()
        return any(token.expires_at > now for token in self._tokens.values())

    @property
    def fresh(self) -> bool:
        """Whether the last reading counts as the present state."""
        return self._clock() - self._read_at <= FRESH_SECONDS

    @property
    def usable(self) -> bool:
        """Whether the last reading still admits tokens: it is fresh, or the database has not been away for long."""
        return self._clock() - self._read_at <= OUTAGE_SECONDS

    def check(self, text: TokenText) -> KnownToken | Verdict:
        """Return the token; "refused" if its secret is wrong, it is revoked or expired.

        "unknown": the last reading does not have it, but a new one may; "unavailable": no reading says what holds.
        """
        if not self.usable:
            return "unavailable"
        token = self._tokens.get(text.id)
        same = hmac.compare_digest(text.digest, _NO_DIGEST if token is None else token.secret_digest)
        if token is None:
            return "unknown"
        now = self._clock()
        if not same or token.expires_at <= now:
            return "refused"
        token.used_at = now
        return token

    async def check_again(self, text: TokenText) -> KnownToken | Verdict:
        """Read the tokens once more for one that was unknown, which may have been made just now."""
        asked_at = self._clock()
        await self.refresh()
        found = self.check(text)
        if found == "unknown":
            return "refused" if self._read_at >= asked_at else "unavailable"
        return found

    async def refresh(self) -> None:
        """Read the tokens now; requests that wait share a reading that begins after they have asked."""
        waited_for = self._reading
        if waited_for is not None:  # it may have begun before the token was made
            await asyncio.wait([waited_for])
        if self._reading is None or self._reading is waited_for or self._reading.done():
            self._reading = asyncio.create_task(self._read_logged())
        await asyncio.wait([self._reading])

    async def read(self, timeout: float = _READ_TIMEOUT_SECONDS) -> None:
        """Read the tokens, within `timeout` seconds, if they have changed since, or that was a minute ago.

        Raises DatabaseUnavailable.
        """
        began = self._clock()
        try:
            async with self._connection(timeout) as connection:
                # First the number: a change in between is read twice rather than never.
                changes = await queries.get_changes(connection)
                # The end of a token is kept by the clock of this process, which does not advance while it is suspended.
                if changes.number != self._number or began - self._listed_at >= _LIST_SECONDS:
                    self._replace(await queries.list_admitted(connection), began)
                    self._listed_at = began
        except TimeoutError:
            raise DatabaseUnavailable("the tokens could not be read in time") from None
        self._number, self._any_token = changes.number, changes.any_token
        self._read_at = began

    async def run(self) -> None:
        """Keep the tokens up to date, and record when they were used, until cancelled."""
        try:
            loop = asyncio.get_running_loop()
            next_reading_at = loop.time()
            while True:
                # After one that has timed out the next follows at once: a revocation may have waited for it already.
                next_reading_at = max(next_reading_at + POLL_SECONDS, loop.time())
                await asyncio.sleep(next_reading_at - loop.time())
                await self.refresh()
                if self._clock() - self._recorded_at >= _USE_SECONDS:
                    await self._record_use()
        finally:
            await asyncio.shield(self._record_use())

    async def _read_logged(self) -> None:
        was_fresh = self.fresh
        try:
            await self.read()
        except (DatabaseUnavailable, asyncpg.PostgresError) as error:
            if was_fresh:
                log.warning("tokens.read_failed", error=str(error), known_tokens_go_on_seconds=OUTAGE_SECONDS)

    async def _record_use(self) -> None:
        now = self._recorded_at = self._clock()
        used = [(id_, token, token.used_at) for id_, token in self._tokens.items() if token.used_at is not None]
        if not used:
            return
        try:
            async with self._connection(_READ_TIMEOUT_SECONDS) as connection:
                await queries.record_use(
                    connection, ids=[id_ for id_, _, _ in used], seconds_ago=[now - at for _, _, at in used]
                )
        except (TimeoutError, DatabaseUnavailable, asyncpg.PostgresError) as error:
            log.warning("tokens.use_not_recorded", error=str(error))
            return
        for _, token, at in used:
            if token.used_at == at:
                token.used_at = None

    @asynccontextmanager
    async def _connection(self, timeout: float) -> AsyncIterator[Connection]:
        """Acquire the connection for the block. Raises TimeoutError when that takes longer than `timeout` seconds."""
        async with asyncio.timeout(timeout), acquire(self._pool) as connection:
            try:
                yield connection
            except asyncio.CancelledError:
                # The connection may be dead without a sign of it. Its release would wait 10 s for an answer, and the
                # next reading, which gets a new connection, for the release.
                connection.terminate()
                raise

    def _replace(self, rows: Sequence[AdmittedTokenRow], now: float) -> None:
        """Take over what was read. A token that stays keeps its rate and its last use."""
        before = self._tokens
        self._tokens = {row.id: _known(row, now, before.get(row.id)) for row in rows}


def _known(row: AdmittedTokenRow, now: float, before: KnownToken | None) -> KnownToken:
    # A later version, beside this one on the same database, may have other scopes.
    scopes = frozenset(scope for scope in get_args(Scope) if scope in row.scopes)
    functions = None if row.function_patterns is None else FunctionPatterns(tuple(row.function_patterns))
    rate = None if row.per_second is None else Rate(row.per_second)
    if (
        before is not None
        and before.rate is not None
        and rate is not None
        and before.rate.per_second == rate.per_second
    ):
        rate = before.rate
    return KnownToken(
        caller=Caller(token_id=row.id, token_name=row.name, scopes=scopes, functions=functions),
        secret_digest=row.secret_digest,
        expires_at=math.inf if row.seconds_left is None else now + row.seconds_left,
        rate=rate,
        used_at=None if before is None else before.used_at,
    )
