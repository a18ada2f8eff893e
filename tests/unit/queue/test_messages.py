"""The queue messages: round trips, and messages of external compilers."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.queue import messages
from faas.queue.messages import (
    CompilationJob,
    CompilationResult,
    CompilationStarted,
    FunctionRevision,
    ImpossibleRevision,
)

ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
texts = st.text(st.characters(exclude_categories=["Cs"]))
revisions = st.integers(1, 2**31 - 1)


@given(st.uuids(), revisions, texts, texts)
def test_messages_job_round_trip(function_id: UUID, revision: int, language: str, source: str) -> None:
    job = CompilationJob(function_id=function_id, revision=revision, language=language, source=source)
    assert messages.decode_job(messages.encode(job)) == job


@given(st.uuids(), st.none() | revisions, st.booleans(), st.none() | texts, st.none() | texts)
def test_messages_result_round_trip(
    function_id: UUID, revision: int | None, success: bool, wasm: str | None, error: str | None
) -> None:
    result = CompilationResult(
        function_id=function_id, revision=revision, success=success, wasm_binary=wasm, error=error
    )
    assert messages.decode_result(messages.encode(result)) == result


@given(st.uuids(), st.none() | revisions)
def test_messages_started_round_trip(function_id: UUID, revision: int | None) -> None:
    started = CompilationStarted(function_id=function_id, revision=revision)
    assert messages.decode_result(messages.encode(started)) == started


@given(st.binary(max_size=300))
def test_messages_decode_raises_decode_error_for_garbage(body: bytes) -> None:
    for decode in (messages.decode_job, messages.decode_result):
        with pytest.raises(msgspec.DecodeError):
            decode(body)


def test_messages_wire_format() -> None:
    job = CompilationJob(function_id=ID, revision=2, language="wat", source="(module)")
    assert messages.encode(job) == (
        b'{"functionId":"01890a5d-ac96-774b-bcce-b302099a8057","revision":2,"language":"wat","source":"(module)"}'
    )
    result = messages.decode_result(
        b'{"functionId":"%s","success":true,"wasmBinary":"AA==","extra":1}' % str(ID).encode()
    )
    assert result == CompilationResult(function_id=ID, revision=None, success=True, wasm_binary="AA==", error=None)


def test_messages_waiting_function_of_a_message_that_does_not_decode() -> None:
    assert messages.waiting_function(b'{"functionId":"%s","success":"yes"}' % str(ID).encode()) == FunctionRevision(
        ID, None
    )
    assert messages.waiting_function(b'{"functionId":"%s","kind":"started"}' % str(ID).encode()) is None
    assert messages.waiting_function(b"[]") is None
    with_text = b'{"functionId":"%s","revision":"7","success":1}' % str(ID).encode()
    assert messages.waiting_function(with_text) == FunctionRevision(ID, 7)
    for impossible in (b"99999999999", b"0", b"1.5", b'"one"', b"[1]"):
        assert messages.waiting_function(with_text.replace(b'"7"', impossible)) == ImpossibleRevision(ID)
