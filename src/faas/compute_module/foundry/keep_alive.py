"""The keep-alive of a compute module: while it answers jobs, the platform leaves the container running."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx
import msgspec
import structlog

from faas.compute_module.foundry.environment import KeepAliveSettings, create_tls_context
from faas.compute_module.redaction import redact_message

log = structlog.get_logger()

IDLE_PAUSE = 0.5
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0
RESULT_RETRIES = 5
_TIMEOUT = 60.0
_JOB_LIMIT = 1024  # characters of an identifier that an address can hold
_JOB = "computeModuleJobV1"


@asynccontextmanager
async def keep_alive(
    settings: KeepAliveSettings | None, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator["asyncio.Task[None] | None"]:
    """Answer jobs in the background while the body runs; gives the task, which never ends by itself, or None."""
    if settings is None:
        yield None
        return
    task = asyncio.create_task(answer_jobs(settings, transport), name="keep-alive")
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def answer_jobs(settings: KeepAliveSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
    """Fetch jobs and answer each with `ok`, for ever. Nothing that the other side does ends it."""
    async with httpx.AsyncClient(
        transport=transport,
        verify=create_tls_context(settings.ca_path) if transport is None else True,
        timeout=_TIMEOUT,
        trust_env=False,  # the endpoint is beside us: no proxy is on the way
        headers={"Module-Auth-Token": settings.token},
    ) as client:
        pause = FIRST_PAUSE
        while True:
            try:
                job = await _next_job(client, settings)
            except _Refused as refused:
                log.warning("keep_alive.no_job", reason=redact_message(str(refused), settings.token), pause=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            if job is None:
                await asyncio.sleep(IDLE_PAUSE)
            else:
                await _answer(client, settings, job)


class _Refused(Exception):
    """No job and no word that there is none."""


async def _next_job(client: httpx.AsyncClient, settings: KeepAliveSettings) -> str | None:
    """The identifier of the next job, None when there is none. Raises _Refused."""
    try:
        response = await client.get(settings.get_job)
    except httpx.RequestError as error:
        raise _Refused(str(error) or type(error).__name__) from None
    if response.status_code == httpx.codes.NO_CONTENT:
        return None
    if not response.is_success:
        raise _Refused(f"status {response.status_code}")
    try:
        envelope = msgspec.json.decode(response.content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _Refused("the answer is not JSON") from None
    named = envelope.get(_JOB) if isinstance(envelope, dict) else None  # beside it there may be other fields
    job = named.get("jobId") if isinstance(named, dict) else None
    if not isinstance(job, str) or not 0 < len(job) <= _JOB_LIMIT:
        raise _Refused("the answer names no job")
    return job


async def _answer(client: httpx.AsyncClient, settings: KeepAliveSettings, job: str) -> None:
    url = f"{settings.post_result}/{quote(job, safe='')}"
    pause = FIRST_PAUSE
    for retry in range(RESULT_RETRIES + 1):
        if retry:
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        try:
            response = await client.post(url, content=b"ok", headers={"Content-Type": "application/octet-stream"})
        except httpx.RequestError as error:
            reason = redact_message(str(error), settings.token) or type(error).__name__
        else:
            if response.is_success:
                return
            reason = f"status {response.status_code}"
        log.warning("keep_alive.result_refused", job=job, reason=reason, attempt=retry + 1)
