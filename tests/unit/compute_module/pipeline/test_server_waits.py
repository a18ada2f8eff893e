"""Runs against servers with a quota, in virtual time: workers share the wait that the server names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from faas.compute_module.pipeline.enrichers.enricher import Enricher
from faas.compute_module.pipeline.enrichers.function import FunctionEnricher
from faas.compute_module.pipeline.enrichers.gemini import GeminiEnricher
from faas.compute_module.pipeline.local_run import run_local
from faas.compute_module.pipeline.rows import Row
from faas.compute_module.pipeline.run_progress import RunProgress
from faas.compute_module.pipeline.table import read_rows
from faas.compute_module.settings import RunSettings
from tests.helpers.compute_module import virtual_time
from tests.helpers.compute_module.fake_gemini import FakeGemini, error, person, quota_failure, retry_info


class Quota:
    """Allows `limit` requests in each window of `window` seconds."""

    def __init__(self, limit: int, window: float) -> None:
        self.limit = limit
        self.window = window
        self.taken: dict[int, int] = {}

    def wait(self) -> float:
        """Count a request and return 0, or the seconds until the next window when this one is used up."""
        number, into = divmod(virtual_time.now(), self.window)
        self.taken[int(number)] = self.taken.get(int(number), 0) + 1
        if self.taken[int(number)] <= self.limit:
            return 0
        return self.window - into


def gemini(quota: Quota) -> Enricher:
    def answer() -> Any:
        wait = quota.wait()
        if not wait:
            return person()
        return error(429, "RESOURCE_EXHAUSTED", "slow down", quota_failure("PerMinute"), retry_info(f"{wait:.9f}s"))

    return GeminiEnricher(key="gemini-test-key", model="m", transport=httpx.ASGITransport(app=FakeGemini(answer)))


def gemini_behind_a_proxy(quota: Quota) -> Enricher:
    def answer() -> Any:
        wait = quota.wait()
        return (429, b"<html>", {"Retry-After": f"{wait:.9f}"}) if wait else person()

    return GeminiEnricher(key="gemini-test-key", model="m", transport=httpx.ASGITransport(app=FakeGemini(answer)))


def function(quota: Quota) -> Enricher:
    def answer(_: httpx.Request) -> httpx.Response:
        wait = quota.wait()
        if wait:
            return httpx.Response(503, headers={"Retry-After": f"{wait:.9f}"})
        return httpx.Response(200, json={"status": "COMPLETED", "output": {"company": "Acme"}})

    return FunctionEnricher("http://faas.test", "enrich", httpx.MockTransport(answer))


def run(folder: Path, count: int, create: Callable[[], Enricher], **settings: Any) -> tuple[list[Row], float]:
    """Return the rows of a run over `count` addresses, and its duration."""
    source, target = folder / "in.csv", folder / "out.csv"
    source.write_text("email\n" + "".join(f"{number}@x.io\n" for number in range(count)))

    async def main() -> float:
        enricher = create()
        await run_local(source, target, enricher, RunSettings(**settings), RunProgress())
        await enricher.aclose()
        return virtual_time.now()

    seconds = virtual_time.run(main())
    return list(read_rows(target, "out")), seconds


@pytest.mark.parametrize("enricher", [gemini, gemini_behind_a_proxy, function])
@pytest.mark.parametrize(("count", "limit", "window"), [(12, 5, 6), (60, 5, 6), (12, 1, 60)])
def test_server_waits_of_a_quota_leave_no_error_row(
    tmp_path: Path, enricher: Callable[[Quota], Enricher], count: int, limit: int, window: float
) -> None:
    quota = Quota(limit, window)
    rows, seconds = run(tmp_path, count, lambda: enricher(quota))
    assert [row.status for row in rows] == ["ok"] * count
    assert seconds == pytest.approx((count - 1) // limit * window, abs=0.001)  # the quota's own pace


@pytest.mark.parametrize(
    "details", [(quota_failure("GenerateRequestsPerDayPerProjectPerModel"), retry_info("20s")), (retry_info("50000s"),)]
)
def test_server_waits_of_a_daily_quota_end_the_run_without_further_requests(tmp_path: Path, details: Any) -> None:
    fake = FakeGemini(person(), error(429, "RESOURCE_EXHAUSTED", "come back tomorrow", *details))
    transport = httpx.ASGITransport(app=fake)
    rows, seconds = run(
        tmp_path, 50, lambda: GeminiEnricher(key="gemini-test-key", model="m", transport=transport), workers=4
    )
    assert [row.status for row in rows].count("ok") == 1
    assert all("come back tomorrow" in row.error for row in rows if not row.is_ok)
    assert len(fake.received) <= 1 + 4
    assert seconds < 1
