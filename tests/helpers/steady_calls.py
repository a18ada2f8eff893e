"""Constant load of calls while a function is deployed, and the check that no deploy was seen as an outage."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import httpx
import msgspec

_CALLERS = 8  # for each server


class Call(msgspec.Struct, frozen=True):
    """One call: when it began and ended, and its answer. `failure` says what was wrong with it; `lost`, without answer."""

    url: str
    began: float
    ended: float
    revision: int | None = None
    output: object = None
    failure: str | None = None
    lost: bool = False


class Deploy(msgspec.Struct, frozen=True):
    """A deploy that returned at `returned`, with `live` as the revision that was live then."""

    returned: float
    live: int


class SteadyCalls:
    """Calls of one function on each of `urls`, `rate` per second in all, or as many as the servers answer.

    A few callers for each server have one call in flight each, so that a slow machine gets no backlog.
    """

    def __init__(self, urls: Sequence[str], name: str, rate: float) -> None:
        self._urls = list(urls)
        self._path = f"/functions/{name}/execute"
        self._spacing = _CALLERS * len(urls) / rate  # seconds between two calls of one caller
        self._stopping = False
        self.calls: list[Call] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Make calls during the block; at its end wait for those in flight."""
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            callers = [
                asyncio.create_task(self._run(http, url, number * self._spacing / _CALLERS))
                for url in self._urls
                for number in range(_CALLERS)
            ]
            try:
                yield
            finally:
                self._stopping = True
                await asyncio.gather(*callers)

    async def _run(self, http: httpx.AsyncClient, url: str, delay: float) -> None:
        due = time.monotonic() + delay
        while not self._stopping:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due + self._spacing, time.monotonic())
            await self._call(http, url)

    async def _call(self, http: httpx.AsyncClient, url: str) -> None:
        began = time.monotonic()
        try:
            response = await http.post(url + self._path, json={"input": {}})
        except httpx.TransportError as error:
            self.calls.append(Call(url, began, time.monotonic(), failure=f"{type(error).__name__}: {error}", lost=True))
            return
        ended = time.monotonic()
        if response.status_code != 200:
            self.calls.append(Call(url, began, ended, failure=f"{response.status_code}: {response.text[:300]}"))
            return
        answer = response.json()
        failure = None if answer["status"] == "COMPLETED" else answer["errorMessage"]
        self.calls.append(Call(url, began, ended, answer["revision"], answer["output"], failure))


def assert_no_outage(
    calls: Sequence[Call], deploys: Sequence[Deploy], outputs: Mapping[int, object], *, killed: str | None = None
) -> None:
    """Assert that no call failed, that each ran the revision that it names, and none an older one than it might.

    `outputs` has what each revision returns. Calls to the server `killed` may have failed without an answer.
    """
    failures = [call for call in calls if call.failure and not (call.lost and call.url == killed)]
    assert not failures, failures[:3]
    answered = [call for call in calls if not call.failure]
    wrong = [call for call in answered if call.revision is None or call.output != outputs.get(call.revision)]
    assert not wrong, wrong[:3]
    stale = [
        (call, deploy)
        for deploy in deploys
        for call in answered
        if call.began > deploy.returned and (call.revision or 0) < deploy.live
    ]
    assert not stale, stale[:3]
    assert {call.revision for call in answered} > {deploys[0].live}, "the load saw no deploy"
