"""The worker of the queue compilation_jobs (flows 1 and 2, on the compiler's side).

It communicates through the two queues only: it receives a job, and sends `started` and a result. The result and the
archiving of the job are one transaction, so that the job of a compiler that dies is redelivered.
"""

import base64
import time
from collections.abc import Mapping

import structlog

from faas import metrics
from faas.compile.languages import Compiler
from faas.compile.outcome import Compiled, CompileFailure
from faas.compile.surroundings import Surroundings
from faas.database.pool import Pool, acquire
from faas.engines import EngineStore
from faas.queue import messages, pgmq
from faas.queue.decoding import decode_or_dead_letter
from faas.queue.messages import CompilationJob, CompilationResult, CompilationStarted, FunctionRevision
from faas.queue.pgmq import Message
from faas.runtime import Runtime, images
from faas.units import format_size

log = structlog.get_logger()
_QUEUE = messages.COMPILATION_JOBS


class CompilationWorker:
    """Compiles the messages of `compilation_jobs` with `compilers`, by language.

    A module may have `output_limit` bytes. The engines of images are kept in `engines`, so that any process can check
    and run them.
    """

    def __init__(
        self,
        pool: Pool,
        runtime: Runtime,
        engines: EngineStore,
        compilers: Mapping[str, Compiler],
        output_limit: int,
    ) -> None:
        self._pool = pool
        self._engines = engines
        self._runtime = runtime
        self._compilers = compilers
        self._output_limit = output_limit

    async def handle(self, message: Message) -> None:
        """Compile one job, send its result and archive it."""
        job = await decode_or_dead_letter(message, _QUEUE, messages.decode_job, self)
        if job is None:
            return
        started = CompilationStarted(function_id=job.function_id, revision=job.revision)
        async with acquire(self._pool) as connection:
            await pgmq.send(connection, messages.COMPILATION_RESULTS, messages.encode(started))

        ids = {"function_id": str(job.function_id), "revision": job.revision}
        log.info("compilation.started", **ids, language=job.language, attempt=message.read_count)
        start = time.perf_counter()
        with metrics.COMPILATIONS_IN_FLIGHT.track_inprogress():
            outcome = await self._compile(job)
        seconds = time.perf_counter() - start
        outcome_label = "compiled" if isinstance(outcome, Compiled) else "failed"

        result = messages.encode(_result(job, outcome))
        async with acquire(self._pool) as connection:
            # Not answered when the visibility timeout of the job ended during the compilation, and another compiler
            # has answered it.
            await pgmq.answer(connection, _QUEUE, message.id, messages.COMPILATION_RESULTS, result)
        language = job.language if job.language in self._compilers else "unknown"
        metrics.COMPILATION_SECONDS.labels(language, outcome_label).observe(seconds)
        log.info(
            "compilation.finished",
            **ids,
            language=job.language,
            outcome=outcome_label,
            duration_ms=round(seconds * 1000, 1),
            since_queued_ms=_age_ms(message),
        )

    async def dead_letter(self, message: Message, reason: str) -> None:
        """Archive the job with `reason` and send a failure as its result, so that its revision becomes FAILED."""
        waiting = messages.waiting_function(message.body)
        reason = _without_nul(reason)
        async with acquire(self._pool) as connection, connection.transaction():
            archived = await pgmq.archive_dead_letter(connection, _QUEUE, message.id, reason)
            if isinstance(waiting, FunctionRevision) and archived:
                result = CompilationResult(
                    function_id=waiting.function_id,
                    revision=waiting.revision,
                    success=False,
                    error=f"the compilation job {reason}",
                )
                await pgmq.send(connection, messages.COMPILATION_RESULTS, messages.encode(result))

    async def _compile(self, job: CompilationJob) -> Compiled | CompileFailure:
        compiler = self._compilers.get(job.language)
        if compiler is None:
            return CompileFailure(
                f"no compiler for the language {job.language!r}; there are {', '.join(self._compilers)}"
            )
        outcome = await compiler.compile(job.source, Surroundings(job.env, job.secrets))
        if isinstance(outcome, CompileFailure):
            return outcome
        if len(outcome.binary) > self._output_limit:
            return CompileFailure(
                f"the module has {len(outcome.binary)} bytes; the limit is {format_size(self._output_limit)}"
            )
        if fault := await self._runtime.check(outcome.binary):
            return CompileFailure(fault)
        engine = images.engine_of(outcome.binary)
        if engine is not None:
            await self._engines.keep(engine)
        return outcome


def _result(job: CompilationJob, outcome: Compiled | CompileFailure) -> CompilationResult:
    if isinstance(outcome, CompileFailure):
        return CompilationResult(
            function_id=job.function_id,
            revision=job.revision,
            success=False,
            error=_without_nul(outcome.diagnostics),
        )
    return CompilationResult(
        function_id=job.function_id,
        revision=job.revision,
        success=True,
        wasm_binary=base64.b64encode(outcome.binary).decode(),
    )


def _without_nul(text: str) -> str:
    """Return `text` in a form that Postgres can store."""
    return text.replace("\0", "\\u0000")


def _age_ms(message: Message) -> float:
    return round(time.time() * 1000 - message.enqueued_at.timestamp() * 1000, 1)
