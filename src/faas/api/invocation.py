"""The handler of `POST /functions/{id}/execute`, shared by the ASGI middleware and the fast path of server/."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import msgspec
from litestar.types import HTTPScope

from faas.api import bodies, problems
from faas.api.access import caller_of
from faas.api.mappers import execution_response
from faas.api.responses import Answer, AnyAnswer
from faas.caller import Caller
from faas.errors import InvalidRequest
from faas.executions.service import ExecutionService, Finished
from faas.function_ref import FunctionRef

_encode = msgspec.json.Encoder().encode

OnAnswer: TypeAlias = Callable[[AnyAnswer | None], None]
"""Takes the answer to a request; None where the execution was cancelled, because the process ends."""


async def await_answer(begin: Callable[[OnAnswer], AnyAnswer | None]) -> AnyAnswer:
    """Return the answer of a request, which `begin` returns, or passes on later.

    Cancelling this does not cancel the execution. It is cancelled itself if the execution is.
    """
    answered: asyncio.Future[AnyAnswer] = asyncio.get_running_loop().create_future()

    def on_answer(answer: AnyAnswer | None) -> None:
        if answer is None:
            answered.cancel()
        elif not answered.done():
            answered.set_result(answer)

    rejection = begin(on_answer)
    return await answered if rejection is None else rejection


class InvocationHandler:
    """Turns an execute request into its answer: checks it, executes the function, maps the execution or the error."""

    def __init__(self, executions: ExecutionService) -> None:
        self._executions = executions
        self._large: set[asyncio.Task[Finished]] = set()  # the event loop itself holds tasks weakly

    def invoke(
        self,
        scope: HTTPScope,
        reference: str,
        content_type: str,
        body: bytes,
        on_answer: OnAnswer,
        *,
        content_length: int | None,
    ) -> Answer | None:
        """Invoke the function with this id or name for the caller in `scope`; `on_answer` gets the answer later.

        Returns the answer of a request that is rejected, which `on_answer` does not get.

        `content_length` is what the client has announced, None for a chunked body or none at all. A body of any other
        size is rejected: an announced body that was lost must not be taken for an empty one, which is valid.

        A client disconnect must not cancel an execution that has started, so nothing here can cancel it.
        """
        try:
            execution = self._submit(caller_of(scope), reference, content_type, body, content_length)
        except Exception as error:  # noqa: BLE001 - problems.answer_error maps every error and logs unexpected ones
            return problems.answer_error(scope, error)
        execution.add_done_callback(partial(_pass_on, on_answer, scope))
        return None

    def _submit(
        self, caller: Caller, reference: str, content_type: str, body: bytes, content_length: int | None
    ) -> "asyncio.Task[Finished]":
        if content_length is not None and content_length != len(body):
            raise InvalidRequest("body", f"{content_length} bytes are announced, {len(body)} have arrived")
        function_ref = FunctionRef.parse(reference)
        if len(body) <= bodies.SMALL_BODY_BYTES:
            input_json = bodies.decode_small_execution_input(body, content_type)
            return self._executions.submit(caller, function_ref, input_json)

        async def decode_and_execute() -> Finished:
            input_json = await bodies.decode_execution_input(body, content_type)
            return await asyncio.shield(self._executions.submit(caller, function_ref, input_json))

        task = asyncio.create_task(decode_and_execute())
        self._large.add(task)
        task.add_done_callback(self._large.discard)
        return task


def _pass_on(on_answer: OnAnswer, scope: HTTPScope, execution: "asyncio.Task[Finished]") -> None:
    if execution.cancelled():
        on_answer(None)
        return
    try:
        answer = Answer(200, _encode(execution_response(execution.result().execution)))
    except Exception as error:  # noqa: BLE001 - as above
        answer = problems.answer_error(scope, error)
    on_answer(answer)
