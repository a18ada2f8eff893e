"""The keep-alive of a compute module: Foundry keeps its container running while the module answers jobs."""

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

IDLE_PAUSE_SECONDS = 0.5
FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 8.0
RESULT_RETRIES = 5
_TIMEOUT_SECONDS = 60.0
_MAX_JOB_ID_CHARACTERS = 1024  # the identifier becomes part of a URL
_JOB_FIELD = "computeModuleJobV1"


@asynccontextmanager
async def keep_alive(
    settings: KeepAliveSettings | None, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator["asyncio.Task[None] | None"]:
    """Answer jobs in a background task while the body runs; yields the task, or None without settings."""
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
    """Fetch jobs and answer each with `ok` until the task is cancelled; no response of the endpoint ends it."""
    async with httpx.AsyncClient(
        transport=transport,
        verify=create_tls_context(settings.ca_path) if transport is None else True,
        timeout=_TIMEOUT_SECONDS,
        trust_env=False,  # no proxy: the endpoint is local
        headers={"Module-Auth-Token": settings.token},
    ) as client:
        pause = FIRST_BACKOFF_SECONDS
        while True:
            try:
                job_id = await _fetch_job(client, settings)
            except _JobFetchFailed as failure:
                reason = redact_message(str(failure), settings.token)
                log.warning("keep_alive.job_fetch_failed", reason=reason, pause=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_BACKOFF_SECONDS)
                continue
            pause = FIRST_BACKOFF_SECONDS
            if job_id is None:
                await asyncio.sleep(IDLE_PAUSE_SECONDS)
            else:
                await _post_result(client, settings, job_id)


class _JobFetchFailed(Exception):
    """Raised when the endpoint returns neither a job nor 204."""


async def _fetch_job(client: httpx.AsyncClient, settings: KeepAliveSettings) -> str | None:
    """Return the identifier of the next job, None when there is none. Raises _JobFetchFailed."""
    try:
        response = await client.get(settings.get_job)
    except httpx.RequestError as error:
        raise _JobFetchFailed(str(error) or type(error).__name__) from None
    if response.status_code == httpx.codes.NO_CONTENT:
        return None
    if not response.is_success:
        raise _JobFetchFailed(f"status {response.status_code}")
    try:
        envelope = msgspec.json.decode(response.content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _JobFetchFailed("the answer is not JSON") from None
    job = envelope.get(_JOB_FIELD) if isinstance(envelope, dict) else None  # other fields are ignored
    job_id = job.get("jobId") if isinstance(job, dict) else None
    if not isinstance(job_id, str) or not 0 < len(job_id) <= _MAX_JOB_ID_CHARACTERS:
        raise _JobFetchFailed("the answer names no job")
    return job_id


async def _post_result(client: httpx.AsyncClient, settings: KeepAliveSettings, job_id: str) -> None:
    url = f"{settings.post_result}/{quote(job_id, safe='')}"
    pause = FIRST_BACKOFF_SECONDS
    for retry in range(RESULT_RETRIES + 1):
        if retry:
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_BACKOFF_SECONDS)
        try:
            response = await client.post(url, content=b"ok", headers={"Content-Type": "application/octet-stream"})
        except httpx.RequestError as error:
            reason = redact_message(str(error), settings.token) or type(error).__name__
        else:
            if response.is_success:
                return
            reason = f"status {response.status_code}"
        log.warning("keep_alive.result_rejected", job=job_id, reason=reason, attempt=retry + 1)
