"""The limits in a function's settings, over HTTP: what is accepted, what is enforced, and how refusals are answered."""

import asyncio
import re
import time
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.helpers.support import LOOP_WAT, Platform, core_wat, eventually

GROWING_WAT = core_wat("(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable")


async def deploy(platform: Platform, source: str, **limits: object) -> None:
    await platform.register("f", source, settings={"limits": limits})
    assert (await platform.settled("f"))["status"] == "READY"


async def call(platform: Platform, reference: str = "f") -> httpx.Response:
    return await platform.http.post(f"/functions/{reference}/execute", json={})


BAD_SETTINGS: list[tuple[Any, str]] = [
    ({"limits": {"time": 0}}, "settings.limits.time: Expected `float` > 0.0; the value is 0"),
    ({"limits": {"time": -1.5}}, "settings.limits.time: Expected `float` > 0.0; the value is -1.5"),
    ({"limits": {"time": "5s"}}, 'settings.limits.time: Expected `float | null`, got `str`; the value is "5s"'),
    ({"limits": {"time": 1.5}}, "settings.limits.time: 1.5 seconds is not accepted; at most 1 (1s), the time limit"),
    ({"limits": {"memory": 1}}, "settings.limits.memory: Expected `int` >= 65536; the value is 1"),
    ({"limits": {"memory": 65536.5}}, "settings.limits.memory: Expected `int | null`, got `float`; the value is 65536.5"),
    ({"limits": {"memory": 1 << 40}}, "settings.limits.memory: 1099511627776 bytes is not accepted; at most 134217728"),
    ({"limits": {"concurrency": 0}}, "settings.limits.concurrency: Expected `int` >= 1; the value is 0"),
    ({"limits": {"concurrency": True}}, "settings.limits.concurrency: Expected `int | null`, got `bool`; the value is tr"),
    ({"limits": {"perSecond": 0}}, "settings.limits.perSecond: Expected `float` >= 1e-05; the value is 0"),
    ({"limits": {"perSecond": 1e9}}, "settings.limits.perSecond: Expected `float` <= 1000000.0; the value is 1000000000.0"),
    ({"limits": {"cpu": 1}}, "settings.limits.cpu: is not a field of this request; accepted: time, memory, concurr"),
    ({"limits": [1]}, "settings.limits: Expected `object`, got `array`"),
    ({"cpu": {}}, "settings.cpu: is not a field of this request; accepted: env, secrets, outbound, limits, http"),
    ({"env": {"A": 1}}, "settings.env[...]: Expected `str`, got `int`"),
    ({"env": {"1A": "x"}}, "settings.env: the name '1A' is not accepted; A-Z a-z 0-9 and _"),
    ({"env": {"A": "a\0b"}}, "settings.env.A: contains NUL at character 1"),
    ({"env": {"A": "x" * 65_536}}, "settings.env: 65537 bytes; at most 64 KiB are accepted"),
    ({"env": {f"A{n}": "" for n in range(257)}}, "settings.env: 257 variables; at most 256 are accepted"),
    ({"secrets": ["a-b"]}, "settings.secrets: the name 'a-b' is not accepted"),
    ({"secrets": ["A"], "env": {"A": ""}}, "settings.secrets: A is the name of a variable in settings.env, too"),
    ({"secrets": ["MISSING"]}, "settings.secrets: there is no secret 'MISSING' that admits the function 'f'"),
    ({"outbound": ["ftp://a"]}, "settings.outbound: 'ftp://a'"),
    ({"outbound": ["https://a/path"]}, "settings.outbound: 'https://a/path'"),
    ({"outbound": "*"}, "settings.outbound: Expected `array`, got `str`"),
    ({"http": {"auth": "maybe"}}, "settings.http.auth: "),
    ({"http": {"cors": True}}, "settings.http.cors: is not a field of this request; accepted: auth"),
    (None, "settings: Expected `object`, got `null`; the value is null"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "detail"), BAD_SETTINGS)
async def test_function_settings_that_are_not_accepted_are_400(refusing: Platform, given: object, detail: str) -> None:
    """The field, the value and what is accepted are named, at the creation and at a change."""
    for method, path in (("POST", "/functions"), ("PUT", "/functions/other")):
        body = {"name": "f", "language": "wat", "source": core_wat(), "settings": given}
        response = await refusing.http.request(method, path, json=body)
        assert response.status_code == 400
        assert detail in response.json()["detail"]


async def test_function_settings_are_shown_as_given(bare_platform: Platform) -> None:
    limits = {"time": 0.5, "memory": 1 << 20, "concurrency": 3, "perSecond": 2.5}
    function = await bare_platform.register("f", core_wat(), settings={"limits": limits})
    assert function["settings"] == {"limits": limits}
    (listed,) = (await bare_platform.http.get("/functions")).json()
    assert listed["settings"] == {"limits": limits}
    revision = (await bare_platform.http.get("/functions/f/revisions/1")).json()
    assert (revision["settings"], revision["createdBy"]) == ({"limits": limits}, None)
    assert (await bare_platform.put("f", core_wat()))["latest"]["revision"] == 2  # absent settings become defaults
    assert (await bare_platform.http.get("/functions/f@2")).json()["settings"] == {}


async def test_function_settings_are_shown_in_one_form(bare_platform: Platform) -> None:
    """Equal settings, however they are written, make no new revision."""
    given = {
        "env": {"B": "2", "A": "1"},
        "outbound": ["https://EXAMPLE.com:443", "https://a.example", "https://example.com"],
        "http": {"auth": "none"},
    }
    function = await bare_platform.register("f", core_wat(), settings=given)
    shown = {
        "env": {"A": "1", "B": "2"},
        "outbound": ["https://a.example", "https://example.com"],
        "http": {"auth": "none"},
    }
    assert function["settings"] == shown
    assert (await bare_platform.put("f", core_wat(), settings=shown))["latest"]["revision"] == 1
    defaults = {"env": {}, "secrets": [], "outbound": [], "limits": {}, "http": {"auth": "token"}}
    assert (await bare_platform.put("f", core_wat(), settings=defaults))["latest"]["revision"] == 2
    assert (await bare_platform.http.get("/functions/f@2")).json()["settings"] == {}


async def test_function_limit_of_time_ends_an_execution(platform: Platform) -> None:
    await deploy(platform, LOOP_WAT, time=0.2)
    began = time.monotonic()
    execution = await platform.execute("f")
    assert (execution["status"], execution["errorMessage"]) == ("FAILED", "time limit of 200ms exceeded")
    assert 0.2 <= execution["durationMs"] / 1000 <= time.monotonic() - began


async def test_function_limit_of_memory_ends_an_execution(platform: Platform) -> None:
    await deploy(platform, GROWING_WAT, memory=1 << 20)
    execution = await platform.execute("f")
    assert execution["status"] == "FAILED"
    assert execution["errorMessage"].startswith("memory limit of 1 MiB exceeded")
    await platform.put("f", GROWING_WAT, settings={"limits": {"memory": 4 << 20}})
    assert (await platform.execute("f"))["errorMessage"].startswith("memory limit of 4 MiB exceeded")


async def test_function_limit_of_memory_below_the_first_page_count_is_named(platform: Platform) -> None:
    await deploy(platform, core_wat(memory="32 2000"), memory=1 << 20)
    execution = await platform.execute("f")
    assert execution["status"] == "FAILED"
    assert "memory limit of 1 MiB exceeded" in execution["errorMessage"]


async def test_function_limit_of_concurrency_is_429_with_retry_after(platform: Platform) -> None:
    """Refused calls leave no record; one more is accepted as soon as one has ended; other functions are not affected."""
    await deploy(platform, LOOP_WAT, concurrency=2)
    await platform.deploy("other", core_wat())
    await call(platform)  # an unknown reference looks its limits up; this one is known
    running = [asyncio.create_task(call(platform)) for _ in range(2)]
    await eventually(lambda: platform.pool.fetchval("SELECT count(*) = 2 FROM executions WHERE status = 'RUNNING'"))
    for reference in ("f", "f@1"):
        refused = await call(platform, reference)
        problem = refused.json()
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert problem["type"] == "urn:faas:problem:function-limit-reached"
        assert f"'{reference}' has 2 executions in flight; its settings allow 2 at once" in problem["detail"]
    assert (await platform.execute("other", {"a": 1}))["output"] == {"a": 1}
    assert [response.status_code for response in await asyncio.gather(*running)] == [200, 200]
    assert (await call(platform)).status_code == 200
    assert len((await platform.http.get("/functions/f/executions")).json()) == 4


async def test_function_limit_of_rate_is_429_with_retry_after(platform: Platform) -> None:
    """A burst of one second's worth passes; a client that waits as it is told is served."""
    await deploy(platform, core_wat(), perSecond=3)
    statuses = Counter([(await call(platform)).status_code for _ in range(12)])
    assert statuses[200] + statuses[429] == 12
    assert 3 <= statuses[200] < 12
    refused = await eventually(lambda: call(platform), lambda response: response.status_code == 429)
    assert re.search(r"'f' is called more often than 3 times per second, which its settings allow", refused.text)
    await asyncio.sleep(int(refused.headers["retry-after"]))
    assert (await call(platform)).status_code == 200


async def test_function_limits_are_those_of_the_live_revision(platform: Platform) -> None:
    """Other limits reuse the module and are in effect after one call; a rollback brings the earlier ones back."""
    await deploy(platform, LOOP_WAT, time=0.1)
    assert (await platform.execute("f"))["errorMessage"] == "time limit of 100ms exceeded"
    changed = await platform.put("f", LOOP_WAT, settings={"limits": {"time": 0.2}})
    assert (changed["revision"], changed["latest"]["status"]) == (2, "READY")  # at once, without a compilation
    assert (await platform.execute("f"))["errorMessage"] == "time limit of 200ms exceeded"
    assert (await platform.execute("f@1"))["errorMessage"] == "time limit of 100ms exceeded"
    assert (await platform.http.post("/functions/f/rollback")).json()["settings"] == {"limits": {"time": 0.1}}
    assert (await platform.execute("f"))["errorMessage"] == "time limit of 100ms exceeded"
    assert await platform.pool.fetchval("SELECT count(*) FROM modules") == 1
