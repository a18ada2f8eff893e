"""The compilation_jobs handler (Flows 1 and 2, the compiler's side).

It speaks the two queues only: a job in, `started` and a result out. The result and the archiving of the job are one
transaction, so a compiler that dies half-way leaves the job for the next one.
"""

import base64
import time
from collections.abc import Mapping

import msgspec
import structlog

from faas import metrics
from faas.compile.languages import Compiler
from faas.compile.outcome import Compiled, Rejected
from faas.database.pool import Pool, acquire
from faas.queue import messages
from faas.queue import pgmq as queue
from faas.queue.messages import CompilationJob, CompilationResult, CompilationStarted
from faas.queue.pgmq import Message
from faas.runtime import Runtime
from faas.units import format_size

log = structlog.get_logger()
_QUEUE = messages.COMPILATION_JOBS


class CompilationJobs:
    """Compiles the messages of `compilation_jobs` with `compilers`, by language."""

    def __init__(self, pool: Pool, runtime: Runtime, compilers: Mapping[str, Compiler], output_limit: int) -> None:
        self._pool = pool
        self._runtime = runtime
        self._compilers = compilers
        self._output_limit = output_limit

    async def handle(self, message: Message) -> None:
        """Compile one job, send its result and archive it."""
        try:
            job = messages.decode_job(message.body)
        except msgspec.DecodeError as error:
            log.error("compilation_job.undecodable", message_id=message.id, error=str(error))
            await self.give_up(message, f"does not decode: {error}")
            return
        started = CompilationStarted(function_id=job.function_id, revision=job.revision)
        async with acquire(self._pool) as connection:
            await queue.send(connection, messages.COMPILATION_RESULTS, messages.encode(started))

        ids = {"function_id": str(job.function_id), "revision": job.revision}
        log.info("compile.started", **ids, language=job.language, attempt=message.read_count)
        began = time.perf_counter()
        with metrics.COMPILATIONS_IN_FLIGHT.track_inprogress():
            outcome = await self._compile(job)
        seconds = time.perf_counter() - began
        verdict = "compiled" if isinstance(outcome, Compiled) else "rejected"

        async with acquire(self._pool) as connection, connection.transaction():
            # False: the job came back to the queue while we worked, and another compiler has answered it.
            if await queue.archive(connection, _QUEUE, message.id):
                result = _result(job, outcome)
                await queue.send(connection, messages.COMPILATION_RESULTS, messages.encode(result))
        language = job.language if job.language in self._compilers else "unknown"
        metrics.COMPILATION_SECONDS.labels(language, verdict).observe(seconds)
        log.info(
            "compile.finished",
            **ids,
            language=job.language,
            outcome=verdict,
            duration_ms=round(seconds * 1000, 1),
            since_queued_ms=_age_ms(message),
        )

    async def give_up(self, message: Message, reason: str) -> None:
        """Archive the job with `reason`, and answer it with a failure so that its function does not wait for ever."""
        owner = messages.owner_of(message.body)
        async with acquire(self._pool) as connection, connection.transaction():
            archived = await queue.archive_rejected(connection, _QUEUE, message.id, reason.replace("\0", "\\u0000"))
            if owner and archived:
                error = f"the compilation job was {reason}" if "given up" in reason else f"the job {reason}"
                result = CompilationResult(function_id=owner[0], revision=owner[1], success=False, error=error)
                await queue.send(connection, messages.COMPILATION_RESULTS, messages.encode(result))

    async def _compile(self, job: CompilationJob) -> Compiled | Rejected:
        compiler = self._compilers.get(job.language)
        if compiler is None:
            return Rejected(f"no compiler for the language {job.language!r}; there are {', '.join(self._compilers)}")
        outcome = await compiler.compile(job.source)
        if isinstance(outcome, Rejected):
            return outcome
        if len(outcome.binary) > self._output_limit:
            return Rejected(
                f"the module has {len(outcome.binary)} bytes; the limit is {format_size(self._output_limit)}"
            )
        fault = await self._runtime.check(outcome.binary)
        return Rejected(fault) if fault else outcome


def _result(job: CompilationJob, outcome: Compiled | Rejected) -> CompilationResult:
    if isinstance(outcome, Rejected):
        return CompilationResult(
            function_id=job.function_id,
            revision=job.revision,
            success=False,
            error=outcome.diagnostics.replace("\0", "\\u0000"),
        )
    return CompilationResult(
        function_id=job.function_id,
        revision=job.revision,
        success=True,
        wasm_binary=base64.b64encode(outcome.binary).decode(),
    )


def _age_ms(message: Message) -> float:
    return round(time.time() * 1000 - message.enqueued_at.timestamp() * 1000, 1)
