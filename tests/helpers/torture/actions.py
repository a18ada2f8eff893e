"""What clients do to servers that are killed: each action sends one request and records what it was promised.

To add an action, write a function here and give it a weight in `WEIGHTS`.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import httpx
import msgspec

from tests.helpers.torture.ledger import KnownExecution, KnownFunction, Ledger
from tests.helpers.torture.sources import broken_wat, marked_assemblyscript, marked_wat

KEEP_REVISIONS = 10  # of each function, a setting of the servers
_PRUNING_FROM = KEEP_REVISIONS // 2  # acknowledged; more may exist, because some deploys were lost
_ASSEMBLYSCRIPT_SHARE = 0.03  # of deploys: one takes about a second of processor time
_RECENT_FUNCTIONS = 8  # of each client, which it acts on
_UNAVAILABLE = (429, 503)  # the request may be repeated; nothing was promised


class Caller(msgspec.Struct):
    """One client: its number, its source of randomness, what all clients know, and the functions that it owns.

    `settled` waits until no transaction of a killed server is open any more.
    """

    number: int
    choose: random.Random
    ledger: Ledger
    settled: Callable[[], Awaitable[None]]
    owned: list[KnownFunction] = msgspec.field(default_factory=list)
    turn: int = 0

    @property
    def marker(self) -> str:
        """A marker that no other request has."""
        return f"m{self.number}-{self.turn}"

    def own_function(self) -> KnownFunction | None:
        """Choose one of the functions that this client decides about."""
        recent = self.owned[-_RECENT_FUNCTIONS:]
        return self.choose.choice(recent) if recent else None

    def any_function(self) -> KnownFunction | None:
        """Choose a function of any client."""
        return self.choose.choice(self.ledger.functions) if self.ledger.functions else None


Action: TypeAlias = Callable[[Caller, httpx.AsyncClient], Awaitable[None]]


async def create(caller: Caller, http: httpx.AsyncClient) -> None:
    """Create a function."""
    name, marker = f"f-{caller.number}-{caller.turn}", caller.marker
    response = await http.post("/functions", json={"name": name, **_source(caller, marker)})
    if caller.ledger.acknowledged("create", response, *_UNAVAILABLE, success=201):
        function = KnownFunction(response.json()["id"], name, {1: marker})
        caller.owned.append(function)
        caller.ledger.functions.append(function)


async def execute(caller: Caller, http: httpx.AsyncClient) -> None:
    """Execute a function of any client."""
    if function := caller.any_function():
        await _execute(caller, http, function, None)


async def execute_own(caller: Caller, http: httpx.AsyncClient) -> None:
    """Execute a function of this client, which knows what may be live."""
    if (function := caller.own_function()) and (revision := await _execute(caller, http, function, None)):
        _observe(caller, function, revision, "executed")


async def execute_revision(caller: Caller, http: httpx.AsyncClient) -> None:
    """Execute a revision by its number."""
    if function := caller.own_function():
        number = caller.choose.choice(list(function.revisions))
        if await _execute(caller, http, function, number):
            function.ready.add(number)


async def look(caller: Caller, http: httpx.AsyncClient) -> None:
    """Get a function of this client."""
    if function := caller.own_function():
        served = function.served
        response = await http.get(f"/functions/{function.name}")
        if caller.ledger.acknowledged("look", response, *_UNAVAILABLE):
            _observe_shown(caller, function, response.json(), served, "shown")


async def deploy(caller: Caller, http: httpx.AsyncClient) -> None:
    """Deploy a new revision of a function of any client."""
    if function := caller.choose.choice((caller.own_function(), caller.any_function())):
        await _deploy(caller, http, function, _source(caller, caller.marker), caller.marker)


async def deploy_broken(caller: Caller, http: httpx.AsyncClient) -> None:
    """Deploy a revision that does not compile."""
    if function := caller.own_function():
        source = {"language": "wat", "source": broken_wat(caller.marker)}
        await _deploy(caller, http, function, source, caller.marker)


async def deploy_unpromoted(caller: Caller, http: httpx.AsyncClient) -> None:
    """Deploy a revision that waits for a decision."""
    if function := caller.own_function():
        await _deploy(caller, http, function, {**_source(caller, caller.marker), "promote": False}, caller.marker)


async def change_settings(caller: Caller, http: httpx.AsyncClient) -> None:
    """Deploy the source that is live with other settings, which needs no compilation."""
    if (function := caller.own_function()) and (marker := function.revisions.get(function.live or 0)):
        settings = {"limits": {"time": 8 + caller.turn / 1e6}}
        await _deploy(
            caller, http, function, {"language": "wat", "source": marked_wat(marker), "settings": settings}, marker
        )


async def promote(caller: Caller, http: httpx.AsyncClient) -> None:
    """Make an acknowledged revision live."""
    if function := caller.own_function():
        number = caller.choose.choice(list(function.revisions))
        refusals = [409] if number not in function.ready else []
        if function.newest > _PRUNING_FROM:
            refusals.append(404)
        path, body = f"/functions/{function.name}/promote", {"revision": number}
        decided = await _decide(caller, http, function, "promote", path, body, refusals)
        if decided and decided["revision"] != number:
            caller.ledger.report(f"promote {number} of {function.name} answered {decided['revision']}")


async def roll_back(caller: Caller, http: httpx.AsyncClient) -> None:
    """Make the previously live revision live again, if there is one."""
    if function := caller.own_function():
        function.lost_rollbacks += 1
        path = f"/functions/{function.name}/rollback"
        if await _decide(caller, http, function, "roll_back", path, {}, [409]):
            function.lost_rollbacks -= 1
            function.rollbacks += 1


# Those that deploy are skipped while the backlog is full.
DEPLOYS: Mapping[Action, float] = {
    create: 0.12,
    deploy: 1,
    deploy_broken: 0.15,
    deploy_unpromoted: 0.15,
    change_settings: 0.2,
}
WEIGHTS: Mapping[Action, float] = {
    **DEPLOYS,
    execute: 12,
    execute_own: 10,
    execute_revision: 2,
    look: 1,
    promote: 0.4,
    roll_back: 0.4,
}


def _source(caller: Caller, marker: str) -> dict[str, Any]:
    if caller.choose.random() < _ASSEMBLYSCRIPT_SHARE:
        return {"language": "assemblyscript", "source": marked_assemblyscript(marker)}
    return {"language": "wat", "source": marked_wat(marker)}


async def _execute(
    caller: Caller, http: httpx.AsyncClient, function: KnownFunction, revision: int | None
) -> int | None:
    """Execute a function, or one of its revisions; return the revision that was run."""
    ledger, number = caller.ledger, caller.choose.randrange(1000)
    refusals = list(_UNAVAILABLE)
    if not (function.served if revision is None else revision in function.ready):
        refusals.append(400)
    if revision is not None and function.newest > _PRUNING_FROM:
        refusals.append(404)
    reference = function.name if revision is None else f"{function.name}@{revision}"
    response = await http.post(f"/functions/{reference}/execute", json={"input": {"n": number}})
    if not ledger.acknowledged("execute" if revision is None else "execute_revision", response, *refusals):
        return None
    execution = response.json()
    ran: int = execution["revision"]
    function.served = True
    ledger.executions[execution["id"]] = KnownExecution(function.id, ran, number)
    output = execution["output"] or {}
    marker = function.revisions.get(ran, output.get("marker"))  # of a lost deploy the number is not known
    wanted = {"marker": marker, "input": {"n": number}}
    if (execution["status"], output) != ("COMPLETED", wanted) or ran != (revision or ran):
        ledger.report(f"{reference} answered {execution}, not {wanted}")
    return ran


async def _deploy(
    caller: Caller, http: httpx.AsyncClient, function: KnownFunction, draft: dict[str, Any], marker: str
) -> None:
    """Deploy a revision, and check that its number is new."""
    ledger, before, served = caller.ledger, function.newest, function.served
    response = await http.put(f"/functions/{function.name}", json={"name": function.name, **draft})
    if not ledger.acknowledged("deploy", response, *_UNAVAILABLE):
        return
    shown = response.json()
    number = shown["latest"]["revision"]
    if number <= before or number in function.revisions:
        ledger.report(f"a deploy of {function.name} got the number {number}, after {before}")
    function.revisions[number] = marker
    if function in caller.owned:
        _observe_shown(caller, function, shown, served, "shown after a deploy")


async def _decide(
    caller: Caller,
    http: httpx.AsyncClient,
    function: KnownFunction,
    action: str,
    path: str,
    body: dict[str, Any],
    refusals: list[int],
) -> dict[str, Any] | None:
    """Promote or roll back. A request that is lost, or answered with 503, may be carried out or not."""
    known = (function.live, function.floor, function.certain)
    function.forget()
    function.note(f"{action} {body}")
    try:
        response = await http.post(path, json=body)
    except httpx.TransportError:
        await caller.settled()
        function.note(f"{action} lost")
        raise
    function.note(f"{action} answered {response.status_code}")
    if not caller.ledger.acknowledged(action, response, *_UNAVAILABLE, *refusals):
        if response.status_code in _UNAVAILABLE:
            await caller.settled()
        else:
            function.live, function.floor, function.certain = known
        return None
    decided: dict[str, Any] = response.json()
    function.decide(decided["revision"], decided["latest"]["revision"])
    return decided


def _observe_shown(caller: Caller, function: KnownFunction, shown: dict[str, Any], served: bool, how: str) -> None:
    """Observe the live revision in a response. Only a function that was not `served` before may show a waiting one."""
    if shown["status"] == "READY":
        _observe(caller, function, shown["revision"], how)
    elif served:
        caller.ledger.report(f"{function.name} was READY and is {shown['status']}")


def _observe(caller: Caller, function: KnownFunction, revision: int, how: str) -> None:
    live, floor = function.live, function.floor
    if not function.observe(revision):
        caller.ledger.report(f"{function.name}: revision {revision} is {how}, but {live} is live, or one above {floor}")
