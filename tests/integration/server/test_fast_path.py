"""The fast path over a real port: which requests take it, and that the answers are those of the ASGI application."""

import asyncio
import re
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.helpers.connections import Connection, Head, Port, execute, request
from tests.helpers.support import eventually

JSON = "content-type: application/json"
CASES = {
    "an execution": ("echo", b'{"input":{"a":[1, 2.50]}}', JSON),
    "no input": ("echo", b"{}", JSON),
    "an empty body": ("echo", b"", JSON),
    "a parameter of the type": ("echo", b"{}", "Content-Type: application/json; charset=utf-8"),
    "a time limit": ("loop", b"{}", JSON),
    "an unknown name": ("unknown", b"{}", JSON),
    "an unknown id": ("01a20126-334c-7585-856e-53c0296ce7fd", b"{}", JSON),
    "no name at all": ("1st", b"{}", JSON),
    "a function that is not READY": ("broken", b"{}", JSON),
    "no JSON": ("echo", b"{", JSON),
    "invalid UTF-8": ("echo", b'{"input":"\xff"}', JSON),
    "an array": ("echo", b'{"input":[1]}', JSON),
    "an unknown field": ("echo", b'{"inputs":{}}', JSON),
    "nesting without end": ("echo", b'{"input":{"a":' + b"[" * 600 + b"]" * 600 + b"}}", JSON),
    "another type": ("echo", b"a=1", "content-type: text/plain"),
    "no type": ("echo", b"{}", "accept: */*"),
}


def without_ids_and_times(answered: tuple[int, Head, Any]) -> tuple[int, Head, Any]:
    """Return the answer without what differs between two equal requests."""
    status, head, body = answered
    ids = {"id", "requestId", "createdAt", "startedAt", "completedAt", "durationMs"}
    kept = {name: value for name, value in body.items() if name not in ids}
    headers = {name: value for name, value in head.items() if name not in {"date", "x-request-id", "content-length"}}
    assert re.fullmatch("[0-9a-f-]{36}", head["x-request-id"])
    assert body.get("requestId", head["x-request-id"]) == head["x-request-id"]
    return status, headers, kept


async def test_fast_path_answers_as_the_application(port: Port, connection: Connection) -> None:
    for case, (name, body, *headers) in CASES.items():
        port.application_paths.clear()
        connection.send(request(f"/functions/{name}/execute", body, *headers))
        fast = await connection.answer()
        assert port.application_paths == [], case
        connection.send(request(f"/functions/{name}/execute?", body, *headers))
        asgi = await connection.answer()
        assert port.application_paths == [f"/functions/{name}/execute"], case
        assert without_ids_and_times(fast) == without_ids_and_times(asgi), case


async def test_fast_path_leaves_other_requests_to_the_application(port: Port) -> None:
    large = '{"a":"' + "x" * 70_000 + '"}'
    for sent, version in (
        (execute(execution_input=large), "1.1"),
        (execute(version="1.0"), "1.0"),
        (execute("echo", "{}", "connection: close"), "1.1"),
        (execute("%65cho"), "1.1"),
        (
            b"POST http://localhost/functions/echo/execute HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n",
            "1.1",
        ),
        (
            b"POST /functions/echo/execute HTTP/1.1\r\nhost: localhost\r\n" + JSON.encode() + b"\r\n"
            b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            "1.1",
        ),
    ):
        port.application_paths.clear()
        connection = await port.connect()
        connection.send(sent)
        assert (await connection.answer())[0] == 200
        assert len(port.application_paths) == 1, sent[:80]
        if version == "1.0" or b"connection: close" in sent:
            assert await connection.closed()
        await connection.close()


async def test_expect_100_continue_is_answered_by_the_application(port: Port, connection: Connection) -> None:
    connection.send(execute("echo", "{}", "expect: 100-continue"))
    assert await asyncio.wait_for(connection.reader.readuntil(b"\r\n\r\n"), 20) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (await connection.answer())[0] == 200
    assert len(port.application_paths) == 1


async def test_fast_path_keeps_a_valid_request_id(port: Port, connection: Connection) -> None:
    for given, kept in (("mine-1", True), ("no; id", False)):
        connection.send(execute("echo", "{}", f"x-request-id: {given}"))
        _, head, _ = await connection.answer()
        assert (head["x-request-id"] == given) is kept
    assert not port.application_paths


async def test_pipelined_requests_are_answered_in_order(port: Port, connection: Connection) -> None:
    health = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
    connection.send(execute("loop") + health + execute("echo", '{"n":1}') + execute("echo", '{"n":2}') + health)
    answers = [(await connection.answer())[2] for _ in range(5)]
    assert [answer.get("output", answer["status"]) for answer in answers] == [None, "UP", {"n": 1}, {"n": 2}, "UP"]
    assert answers[0]["errorMessage"].startswith("time limit")
    # The connection serves another request.
    connection.send(execute("echo", '{"n":3}'))
    assert (await connection.answer())[2]["output"] == {"n": 3}
    assert port.application_paths.count("/functions/echo/execute") == 2


async def test_fast_path_takes_a_request_that_arrives_byte_by_byte(port: Port, connection: Connection) -> None:
    for _ in range(2):
        for byte in execute("echo", '{"slow":true}'):
            connection.send(bytes([byte]))
            await connection.writer.drain()
            await asyncio.sleep(0)
        assert (await connection.answer())[2]["output"] == {"slow": True}
    assert not port.application_paths


async def test_keep_alive_timeout_does_not_end_a_request_in_flight(connection: Connection) -> None:
    """A rejected request in the same chunk has started the timeout."""
    connection.send(execute("echo", "[]") + execute("loop"))
    assert (await connection.answer())[0] == 400
    assert (await connection.answer())[2]["errorMessage"].startswith("time limit")


async def test_websocket_handshake_does_not_repeat_the_request_before_it(
    port: Port, connection: Connection, pool: Any
) -> None:
    connection.send(execute())
    await connection.answer()
    connection.send(b"GET /socket HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    assert (await connection.answer())[0] == 404
    assert port.application_paths == ["/socket"]
    assert await pool.fetchval("SELECT count(*) FROM executions") == 1


async def assert_backpressure(connection: Connection, write: Coroutine[Any, Any, None], count: int) -> None:
    """Assert that `write`, of `count` numbered requests, blocks while no answer is read, and that no answer is lost."""
    writing = asyncio.create_task(write)
    done, _ = await asyncio.wait([writing], timeout=3)
    assert not done, "the server read every request of a client that reads no answers"
    ids = [(await connection.answer())[1]["x-request-id"] for _ in range(count)]
    assert ids == [str(number) for number in range(count)]
    await writing


async def test_backpressure_on_rejected_requests(connection: Connection) -> None:
    count = 10_000  # 1.5 MB of requests, 3.5 MB of answers

    async def write() -> None:
        for number in range(count):
            connection.send(execute("echo", "[]", f"x-request-id: {number}"))
            await connection.writer.drain()

    await assert_backpressure(connection, write(), count)


@pytest.mark.parametrize("pipelined", [True, False])
async def test_backpressure_on_executions(connection: Connection, pool: Any, *, pipelined: bool) -> None:
    """The server buffers few answers; a client that reads again gets all of them."""
    execution_input = '{"a":"' + "x" * 60_000 + '"}'
    count = 40  # 2.4 MB, of which the sockets hold a tenth

    async def write() -> None:
        for number in range(count):
            connection.send(execute("echo", execution_input, f"x-request-id: {number}"))
            await connection.writer.drain()
            while (
                not pipelined
                and await pool.fetchval("SELECT count(*) FROM executions WHERE status <> 'RUNNING'") <= number
            ):
                await asyncio.sleep(0.01)

    await assert_backpressure(connection, write(), count)


@pytest.mark.usefixtures("port")
async def test_execution_of_a_disconnected_client_is_recorded(connection: Connection, pool: Any) -> None:
    connection.send(execute("loop"))

    async def statuses() -> list[str]:
        return [row["status"] for row in await pool.fetch("SELECT status FROM executions")]

    await eventually(statuses, lambda found: found == ["RUNNING"])
    await connection.close()
    assert await eventually(statuses, lambda found: found != ["RUNNING"]) == ["FAILED"]
