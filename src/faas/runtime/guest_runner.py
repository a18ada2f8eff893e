"""Runs guests: one function call in a fresh or restored instance, and the Outcome of whatever the guest does."""

import math
import threading
import time
from typing import TypeAlias
from uuid import UUID

import msgspec
import structlog

from faas import json_documents
from faas.runtime import c_api
from faas.runtime.epoch_ticker import TICK_SECONDS
from faas.runtime.host_context import HostContext, MustRunInThread
from faas.runtime.inline_policy import INLINE_TICKS, MAX_INLINE_BYTES, InlineResult
from faas.runtime.kept_instances import KeptInstances
from faas.runtime.limits import Limits
from faas.runtime.module_cache import Executable
from faas.runtime.outcome import GuestFault, Outcome
from faas.runtime.traps import describe_failure, is_interrupt

log = structlog.get_logger()

_INVALID_JSON_SHOWN = 80  # bytes of the output in the error message


class _Failure(msgspec.Struct, frozen=True):
    """The guest did not return: `reason` is for the function's author. `interrupted` is True at a deadline.

    `sleeps` is True when the guest wanted to sleep on the event loop.
    """

    reason: str
    interrupted: bool = False
    sleeps: bool = False


_CallResult: TypeAlias = bytes | _Failure


class GuestRunner:
    """Calls modules, each call under its own limits. Thread-safe."""

    def __init__(self, instances: KeptInstances) -> None:
        self._instances = instances
        self._shutting_down = False
        self._interrupted = threading.Event()  # wakes guests that sleep

    def interrupt_from_now_on(self) -> None:
        """Give every guest that starts later no time at all."""
        self._shutting_down = True
        self._interrupted.set()

    def run_threaded(self, module: Executable, input_json: bytes, limits: Limits, execution_id: UUID | None) -> Outcome:
        """Run a guest with the whole time limit. For guest threads."""
        began = time.thread_time()
        with HostContext(limits, self._interrupted, execution_id) as context:
            result = self._call(module, input_json, limits, ticks(limits.time))
            outcome = self._outcome(module, result, context, inline=False)
        module.inline_policy.record_duration(time.thread_time() - began)
        return outcome

    def run_inline(
        self, module: Executable, input_json: bytes, limits: Limits, execution_id: UUID | None
    ) -> InlineResult:
        """Run a guest with INLINE_TICKS as its deadline. For the event loop."""
        began = time.thread_time()
        with HostContext(limits, None, execution_id) as context:
            result = self._call(module, input_json, limits, INLINE_TICKS)
            if isinstance(result, _Failure):
                if result.sleeps:
                    return module.inline_policy.record_sleep()
                if result.interrupted and not self._shutting_down:
                    return module.inline_policy.record_interrupted(time.thread_time() - began)
            elif len(result) > MAX_INLINE_BYTES:
                return module.inline_policy.record_large_output()
            outcome = self._outcome(module, result, context, inline=True)
        module.inline_policy.record_duration(time.thread_time() - began)
        return outcome

    def _call(self, module: Executable, input_json: bytes, limits: Limits, deadline: int) -> _CallResult:
        """Call the module with a deadline in ticks of the epoch.

        What goes wrong here is the guest's failure, or is logged as ours.
        """
        instance = self._instances.acquire(module, limits.memory)
        try:
            instance.set_deadline(deadline)
            # Read after the deadline was set: an interrupt before that is seen here, and one after that advances the
            # epoch past the deadline.
            if self._shutting_down:
                instance.set_deadline(0)
            if not instance.started:
                module.start(instance)
            return module.convention.invoke(instance, input_json, limits.output)
        except GuestFault as fault:
            return _Failure(str(fault))
        except MustRunInThread:
            return _Failure("the function cannot sleep here", sleeps=True)
        except c_api.CallFailed as error:
            reason = describe_failure(
                error.cause,
                limits,
                instance.memory_size,
                with_functions=module.convention.functions_are_authors,
            )
            return _Failure(reason, is_interrupt(error.cause))
        except Exception as unexpected:
            log.exception("guest.unexpected_error")
            return _Failure(f"the runtime could not make the call: {type(unexpected).__name__}")
        finally:
            self._instances.release(module, instance)

    def _outcome(self, module: Executable, result: _CallResult, context: HostContext, *, inline: bool) -> Outcome:
        if context.host_error:
            log.error("host_function.failed", error=repr(context.host_error))
        if isinstance(result, bytes):
            error = context.aborted or _json_error(result, lone_surrogates=module.convention.lone_surrogates)
            if error is None:
                return Outcome(output=result, logs=context.logs, inline=inline)
        elif result.interrupted and self._shutting_down:
            error = context.aborted or "interrupted: the server shut down"
        else:
            error = context.aborted or result.reason
        return Outcome(error=error.replace("\0", "\\u0000"), logs=context.logs, inline=inline)


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
