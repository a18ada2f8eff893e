"""Runs guests: one function call in a fresh or restored instance, and the Outcome of whatever the guest does."""

import math
import time
from http import HTTPStatus
from typing import TypeAlias
from uuid import UUID

import msgspec
import structlog
import wasmtime

from faas import json_documents
from faas.runtime import c_api, contracts
from faas.runtime.epoch_ticker import TICK_SECONDS
from faas.runtime.host_context import INTERRUPTED, HostContext, Interruption, MustRunInThread, current
from faas.runtime.http_messages import HttpResponse
from faas.runtime.inline_policy import INLINE_TICKS, MAX_INLINE_BYTES, InlineResult
from faas.runtime.instance import Instance
from faas.runtime.kept_instances import KeptInstances
from faas.runtime.limits import Limits
from faas.runtime.module_cache import Executable
from faas.runtime.outcome import Failure, GuestFault, Outcome, RequestFault
from faas.runtime.reach import NOTHING, Reach
from faas.runtime.traps import describe_failure, is_interrupt

log = structlog.get_logger()

_CANNOT_WAIT = "the function cannot wait here"
_INVALID_JSON_SHOWN = 80  # bytes of the output in the error message
_JSON = (("content-type", "application/json"),)
_FUNCTION: Failure = "function"


class GuestCall(msgspec.Struct, frozen=True):
    """One call of a function: what it is called with, under which limits, and what it may reach."""

    given: contracts.Input
    limits: Limits
    execution_id: UUID | None = None
    reach: Reach = NOTHING


class _Failure(msgspec.Struct, frozen=True):
    """The guest did not return: `reason` is for the function's author. `interrupted` is True at a deadline.

    `waits` is True when the guest wanted to wait on the event loop. `bad_request` is True when it cannot be called
    with the request. `at` is the processor time of the thread when the guest was interrupted.
    """

    reason: str
    interrupted: bool = False
    waits: bool = False
    bad_request: bool = False
    at: float = 0.0


_CallResult: TypeAlias = bytes | HttpResponse | _Failure


class GuestRunner:
    """Calls modules, each call under its own limits. Thread-safe."""

    def __init__(self, instances: KeptInstances) -> None:
        self._instances = instances
        self._shutting_down = False
        self._interrupted = Interruption()  # wakes guests that wait

    def interrupt_from_now_on(self) -> None:
        """Give every guest that starts later no time at all."""
        self._shutting_down = True
        self._interrupted.set()

    def run_threaded(self, module: Executable, call: GuestCall) -> Outcome:
        """Run a guest with the whole time limit. For guest threads."""
        began = time.thread_time()
        with HostContext(call.limits, self._interrupted, call.execution_id, call.reach) as context:
            result = self._call(module, call, ticks(call.limits.time))
            outcome = self._outcome(module, call, result, context, inline=False)
        module.inline_policy.record_duration(time.thread_time() - began)
        return outcome

    def run_inline(self, module: Executable, call: GuestCall) -> InlineResult:
        """Run a guest with INLINE_TICKS as its deadline. For the event loop."""
        began = time.thread_time()
        with HostContext(call.limits, None, call.execution_id, call.reach) as context:
            result = self._call(module, call, INLINE_TICKS)
            if isinstance(result, _Failure):
                if result.waits:
                    return module.inline_policy.record_wait()
                if result.interrupted and not self._shutting_down:
                    return module.inline_policy.record_interrupted(result.at - began)
            elif len(result if isinstance(result, bytes) else result.body) > MAX_INLINE_BYTES:
                return module.inline_policy.record_large_output()
            outcome = self._outcome(module, call, result, context, inline=True)
        module.inline_policy.record_duration(time.thread_time() - began)
        return outcome

    def _call(self, module: Executable, call: GuestCall, deadline: int) -> _CallResult:
        """Call the module with a deadline in ticks of the epoch.

        What goes wrong here is the guest's failure, or is logged as ours.
        """
        instance = self._instances.acquire(module, call.limits.memory)
        try:
            instance.set_deadline(deadline)
            # Read after the deadline was set: an interrupt before that is seen here, and one after that advances the
            # epoch past the deadline.
            if self._shutting_down:
                instance.set_deadline(0)
            if not instance.started:
                module.start(instance)
            result = contracts.call(module, instance, call.given, call.limits)
            return _failure_of_guest_call(module, call, instance) or result
        except GuestFault as fault:
            failure = _Failure(str(fault), bad_request=isinstance(fault, RequestFault))
            return _failure_of_guest_call(module, call, instance) or failure
        except MustRunInThread:
            return _Failure(_CANNOT_WAIT, waits=True)
        except c_api.CallFailed as error:
            return _failure_of_guest_call(module, call, instance) or _trapped(module, call, instance, error.cause)
        except Exception as unexpected:
            log.exception("guest.unexpected_error")
            return _Failure(f"the runtime could not make the call: {type(unexpected).__name__}")
        finally:
            self._instances.release(module, instance)

    def _outcome(
        self, module: Executable, call: GuestCall, result: _CallResult, context: HostContext, *, inline: bool
    ) -> Outcome:
        if context.host_error:
            log.error("host_function.failed", error=repr(context.host_error))
        error, failure, requests = context.aborted, _FUNCTION, context.end_requests()
        if isinstance(result, _Failure):
            if error is None:
                stopped = result.interrupted and self._shutting_down
                error = INTERRUPTED if stopped else result.reason
            if not self._shutting_down:
                failure = _failure_of(result)
        elif isinstance(result, bytes) and error is None:
            error = _json_error(result, lone_surrogates=module.convention.lone_surrogates)
        if error is not None:
            failure = "time" if context.timed_out else failure
            error = error.replace("\0", "\\u0000")
            return Outcome(error=error, failure=failure, logs=context.logs, requests=requests, inline=inline)
        assert not isinstance(result, _Failure)
        if isinstance(result, bytes) and not isinstance(call.given, bytes):
            result = HttpResponse(status=HTTPStatus.OK, headers=_JSON, body=result)
        if isinstance(result, bytes):
            return Outcome(output=result, logs=context.logs, requests=requests, inline=inline)
        return Outcome(response=result, logs=context.logs, requests=requests, inline=inline)


def _failure_of_guest_call(module: Executable, call: GuestCall, instance: Instance) -> _Failure | None:
    """Return why the guest should not have gone on after a host function, which cannot end it, or None."""
    context = current()
    if context.thread_needed:
        return _Failure(_CANNOT_WAIT, waits=True)
    return _trapped(module, call, instance, context.guest_failure) if context.guest_failure else None


def _trapped(
    module: Executable, call: GuestCall, instance: Instance, cause: wasmtime.Trap | wasmtime.WasmtimeError
) -> _Failure:
    with_functions = module.convention.functions_are_authors
    reason = describe_failure(cause, call.limits, instance.memory_size, with_functions=with_functions)
    return _Failure(reason, is_interrupt(cause), at=time.thread_time())


def _failure_of(failure: _Failure) -> Failure:
    if failure.bad_request:
        return "request"
    return "time" if failure.interrupted else "function"


def ticks(seconds: float) -> int:
    """Return a time limit in ticks of the epoch, rounded up."""
    return max(1, math.ceil(seconds / TICK_SECONDS))


def _json_error(output: bytes, *, lone_surrogates: bool) -> str | None:
    """Return why `output` is not a JSON document, or None if it is one."""
    try:
        json_documents.check(output, lone_surrogates=lone_surrogates)
    except json_documents.NotJSON as error:
        shown = output[:_INVALID_JSON_SHOWN].decode("utf-8", "replace")
        more = "…" if len(output) > _INVALID_JSON_SHOWN else ""
        return f"invalid JSON: {error}; the output begins: {shown}{more}"
    return None
