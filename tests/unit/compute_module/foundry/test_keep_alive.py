"""The keep-alive against a fake of the job endpoint, in virtual time."""

import asyncio
from pathlib import Path

import httpx
import pytest

from faas.compute_module.foundry.environment import KeepAliveSettings
from faas.compute_module.foundry.keep_alive import keep_alive
from tests.helpers.compute_module import virtual_time

SETTINGS = KeepAliveSettings("http://127.0.0.1:1/job", "http://127.0.0.1:1/results", "hush", Path("unused"))


class FakeJobEndpoint:
    """Gives the answers in turn, then 204; `enough` is set at the last answer."""

    def __init__(
        self, *answers: httpx.Response | Exception, results: list[httpx.Response | Exception] | None = None
    ) -> None:
        self.answers = list(answers)
        self.results = results or []
        self.asked: list[float] = []
        self.answered: list[tuple[float, str, bytes]] = []
        self.enough = asyncio.Event()
        self.tokens: set[str | None] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.tokens.add(request.headers.get("Module-Auth-Token"))
        if request.method == "POST":
            assert request.headers["Content-Type"] == "application/octet-stream"
            self.answered.append((virtual_time.now(), request.url.raw_path.decode(), request.content))
            answer = self.results.pop(0) if self.results else httpx.Response(204)
        else:
            self.asked.append(round(virtual_time.now(), 6))
            answer = self.answers.pop(0) if self.answers else httpx.Response(204)
            if not self.answers and len(self.asked) > 1:
                self.enough.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


def run(jobs: FakeJobEndpoint, seconds: float = 0) -> FakeJobEndpoint:
    async def main() -> None:
        async with keep_alive(SETTINGS, httpx.MockTransport(jobs)) as task:
            assert task
            await (asyncio.sleep(seconds) if seconds else jobs.enough.wait())
            assert not task.done()

    virtual_time.run(main())
    assert jobs.tokens == {"hush"}
    return jobs


def job(name: object) -> httpx.Response:
    return httpx.Response(200, json={"computeModuleJobV1": {"jobId": name, "query": {}}})


def test_keep_alive_answers_jobs_in_order() -> None:
    jobs = run(FakeJobEndpoint(job("j-1"), job("j/2"), httpx.Response(204)), seconds=3)
    assert [(path, body) for _, path, body in jobs.answered] == [("/results/j-1", b"ok"), ("/results/j%2F2", b"ok")]
    assert jobs.asked[:5] == [0, 0, 0, 0.5, 1.0]


def test_keep_alive_ignores_other_fields_of_a_job() -> None:
    answer = httpx.Response(200, json={"type": "computeModuleJobV1", "computeModuleJobV1": {"jobId": "j"}, "n": [1]})
    assert [path for _, path, _ in run(FakeJobEndpoint(answer), seconds=3).answered] == ["/results/j"]


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(500),
        httpx.Response(401),
        httpx.Response(302),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={}),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"computeModuleJobV1": "j"}),
        job(3),
        job("j" * 70_000),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
    ],
)
def test_keep_alive_backs_off_from_half_a_second_to_eight(trouble: httpx.Response | Exception) -> None:
    jobs = run(FakeJobEndpoint(*[trouble] * 7, httpx.Response(204), trouble, httpx.Response(204)))
    # Doubles to 8 seconds; a 204 waits half a second and resets the back-off.
    assert jobs.asked == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 23.5, 31.5, 32.0, 32.5]
    assert jobs.answered == []


def test_keep_alive_retries_a_result_up_to_five_times() -> None:
    trouble: list[httpx.Response | Exception] = [httpx.Response(503), httpx.ReadError("reset")]
    jobs = run(
        FakeJobEndpoint(job("1"), job("2"), results=[*trouble, httpx.Response(200), *[httpx.Response(500)] * 6]),
        seconds=60,
    )
    assert [path for _, path, _ in jobs.answered] == ["/results/1"] * 3 + ["/results/2"] * 6


async def test_keep_alive_is_off_without_settings() -> None:
    async with keep_alive(None) as task:
        assert task is None
