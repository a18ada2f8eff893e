"""The gate of the API: who makes a request, whether it may, and how often.

The fast path of server/ and the middleware ask the same gate. The fast path gets an answer only where nothing needs to
wait, to be counted or to be explained: for a token that was admitted from this address before, is known, has the scope
and no rate.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import structlog
from litestar import Request
from litestar.types import Scope as AsgiScope

from faas.access import token_text
from faas.access.attempts import Attempts
from faas.access.authenticator import Authenticator, KnownToken
from faas.access.shared_attempts import SharedAttempts
from faas.access.token_text import TokenText
from faas.caller import ANYONE, Caller, Scope
from faas.client_address import ClientAddresses
from faas.errors import DatabaseUnavailable, NotAllowed, NotAuthenticated, RateLimited, TooManyAttempts
from faas.rate import Rate
from faas.settings import Auth
from faas.shared_limits import SharedLimits

log = structlog.get_logger()

STRANGER = Caller(scopes=frozenset())
"""Who asks a public route for something without a token, where tokens are asked for."""

GateState = Literal["tokens", "open", "off"]

_STATE_KEY = "faas_caller"


class Admitted(msgspec.Struct, frozen=True):
    """The caller of a request, and headers that tell it the state of its rate."""

    caller: Caller
    headers: dict[str, str] = {}


class AccessGate:
    """Admits requests by their tokens, which `authenticator` knows, or everyone where no tokens are asked for.

    With `auto`, tokens are asked for as soon as there has been one, or when the server listens `beyond_loopback`.
    `client_addresses` finds the address that both pass. `shared` has the limits of a server of several processes.
    `clock` returns seconds. Use from one event loop.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        *,
        auth: Auth,
        beyond_loopback: bool,
        client_addresses: ClientAddresses | None = None,
        shared: SharedLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client_addresses = client_addresses or ClientAddresses(())
        self._authenticator = authenticator
        self._always = auth == "required" or (auth == "auto" and beyond_loopback)
        self._never = auth == "off"
        self._attempts = SharedAttempts(shared.failures, shared.admitted, clock) if shared else Attempts(clock)
        self._shared_rates = shared.tokens if shared else None
        self._first_uses: dict[tuple[str, TokenText], asyncio.Future[None]] = {}
        self._clock = clock

    @property
    def asks_for_tokens(self) -> bool:
        """Whether a request needs a token."""
        return self._always or (not self._never and self._authenticator.any_token)

    @property
    def state(self) -> GateState:
        """Whether tokens are asked for: now, as soon as there is one, or never."""
        if self.asks_for_tokens:
            return "tokens"
        return "off" if self._never else "open"

    @property
    def any_admitted(self) -> bool:
        """Whether there is a token that is neither revoked nor expired."""
        return self._authenticator.any_admitted

    def admit_now(self, address: str, authorization: bytes | None, scope: Scope) -> Caller | None:
        """Return the caller of a request with these headers if that is clear at once, else None: `admit` decides."""
        if not self.asks_for_tokens:
            return ANYONE
        text = None if authorization is None else token_text.parse_authorization(authorization)
        token = None if text is None else self._in_use(address, text)
        if token is not None and token.rate is None and token.caller.has(scope):
            return token.caller
        return None

    async def admit(self, address: str, authorizations: Sequence[bytes], scopes: Sequence[Scope] | None) -> Admitted:
        """Return the caller of a request, `authorizations` being the values of that header.

        It needs one of `scopes`; no token if there is none of them, and any token for None. Raises NotAuthenticated,
        NotAllowed, TooManyAttempts, RateLimited, DatabaseUnavailable when it cannot be known whether the token holds.
        """
        if not self.asks_for_tokens:
            return Admitted(ANYONE)
        if not authorizations and scopes is not None and not scopes:
            return Admitted(STRANGER)
        token = await self._authenticate(address, authorizations)
        headers = {} if token.rate is None else self._take(token, token.rate)
        if scopes and not any(token.caller.has(scope) for scope in scopes):
            raise NotAllowed(f"this needs a token with the scope {' or '.join(scopes)}", missing_scope=scopes[0])
        return Admitted(token.caller, headers)

    async def _authenticate(self, address: str, authorizations: Sequence[bytes]) -> KnownToken:
        text = token_text.parse_authorization(authorizations[0]) if len(authorizations) == 1 else None
        if text is None:  # not a guess
            raise NotAuthenticated
        first_use = (address, text)
        while (reading := self._first_uses.get(first_use)) is not None:  # of the same token: one attempt, not many
            await asyncio.wait([reading])
        if (known := self._in_use(address, text)) is not None:
            return known
        if wait := self._attempts.begin(address):
            raise TooManyAttempts(math.ceil(wait))
        found = self._authenticator.check(text)
        if found == "unknown":
            reading = self._first_uses[first_use] = asyncio.get_running_loop().create_future()
            try:
                found = await self._authenticator.check_again(text)
            finally:
                del self._first_uses[first_use]
                reading.set_result(None)
        if isinstance(found, KnownToken):
            self._attempts.succeed(address, text.id)
            return found
        if found == "unavailable":  # otherwise an outage would lock out the clients that try again
            self._attempts.take_back(address)
            raise DatabaseUnavailable("it is not known whether a token is admitted")
        # No flood: an address that fails more often is refused above.
        log.warning("authentication.refused", address=address, token_id=text.id)
        raise NotAuthenticated

    def _in_use(self, address: str, text: TokenText) -> KnownToken | None:
        """Return the token if it was admitted from this address before and still is."""
        found = self._authenticator.check(text) if self._attempts.is_admitted(address, text.id) else None
        return found if isinstance(found, KnownToken) else None

    def _take(self, token: KnownToken, rate: Rate) -> dict[str, str]:
        """Count a request. Returns the headers that tell the state of the rate; raises RateLimited."""
        now = self._clock()
        if self._shared_rates is None:
            wait = rate.take(now)
        else:
            with self._shared_rates.entry((token.caller.token_id or "").encode(), now) as entry:
                rate.recovered_at = entry.time
                wait = rate.take(now)
                entry.time = rate.recovered_at
        if wait:
            raise RateLimited(rate.per_second, math.ceil(wait), rate_headers(rate, 0))
        return rate_headers(rate, rate.remaining(now))


def rate_headers(rate: Rate, remaining: int) -> dict[str, str]:
    """Return the header fields of draft-ietf-httpapi-ratelimit-headers: the policy, and what is left of it."""
    window = math.ceil(rate.burst_seconds)
    return {
        "RateLimit-Policy": f'"token";q={rate.burst};w={window}',
        "RateLimit": f'"token";r={remaining};t={window}',
    }


def bind_caller(scope: AsgiScope, caller: Caller) -> None:
    """Store the caller of the request in `scope`."""
    scope.setdefault("state", {})[_STATE_KEY] = caller


def caller_of(request: Request[Any, Any, Any] | AsgiScope) -> Caller:
    """Return the caller that `bind_caller` stored. Raises KeyError: no route is served without the gate."""
    scope = request.scope if isinstance(request, Request) else request
    caller: Caller = scope["state"][_STATE_KEY]
    return caller
