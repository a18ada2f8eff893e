"""Clients that end their sending and still read (half-close), and clients that really leave, over a real port."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from tests.helpers.connections import Connection, Port, client_sockets, execute, request
from tests.helpers.support import eventually

HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
TYPE = b"content-type: application/json\r\n"
CHUNKED = b"POST /functions/echo/execute HTTP/1.1\r\nhost: localhost\r\n" + TYPE + b"transfer-encoding: chunked\r\n\r\n"
FUNCTION = request("/functions", b'{"name":"new","language":"wat","source":"(module)"}', TYPE.decode().strip())
UPGRADE = ("connection: upgrade", "upgrade: h2c")


async def executions(pool: Any) -> list[Any]:
    rows = await pool.fetch("SELECT input FROM executions WHERE status <> 'RUNNING' ORDER BY id")
    return [json.loads(row["input"]) for row in rows]


LOOPS = "SELECT count(*) FROM executions JOIN functions ON functions.id = function_id WHERE name = 'loop'"


async def test_half_close_after_a_request_gets_the_answer(port: Port) -> None:
    for sent, expected in (
        (execute("echo", '{"n":1}'), 200),
        (execute("echo", '{"n":1}').replace(b"execute", b"execute?", 1), 200),
        (execute("echo", '{"n":1}', version="1.0"), 200),
        (execute("echo", '{"n":1}', "connection: close"), 200),
        (execute("echo", '{"n":1}', *UPGRADE), 200),
        (execute("echo", json.dumps({"a": "x" * 200_000})), 200),
        (CHUNKED + b'7\r\n{"input\r\n4\r\n":{}\r\n1\r\n}\r\n0\r\n\r\n', 200),
        (FUNCTION, 201),
        (HEALTH, 200),
        (HEALTH.replace(b"health", b"functions"), 200),
        (HEALTH.replace(b"health", b"metrics"), 200),
        (HEALTH.replace(b"health", b"nowhere"), 404),
        (execute("echo", "[]"), 400),
    ):
        connection = await port.connect()
        connection.send(sent)
        connection.end_sending()
        answered = await asyncio.wait_for(connection.reader.read(), 20)
        assert answered.startswith(b"HTTP/1.1 %d " % expected), sent[:80]
        assert answered.count(b"HTTP/1.1 ") == 1
        await connection.close()


async def test_half_close_during_an_execution_gets_the_answer_and_no_more(connection: Connection) -> None:
    connection.send(execute("loop"))
    await asyncio.sleep(0.1)
    connection.end_sending()
    status, head, body = await connection.answer()
    assert (status, head["connection"]) == (200, "close")
    assert body["errorMessage"].startswith("time limit")
    assert await connection.closed()


async def test_half_close_after_pipelined_requests_gets_all_answers(port: Port, pool: Any) -> None:
    first, second = execute("echo", '{"n":1}'), execute("echo", '{"n":2}')
    for sent, count in (
        (first + second, 2),
        (execute("loop") + second, 2),
        (HEALTH + first, 2),
        (first + HEALTH, 2),
        (execute("echo", "[]") + first + HEALTH + second + CHUNKED + b"0\r\n\r\n", 5),
        (HEALTH * 50, 50),
    ):
        connection = await port.connect()
        connection.send(sent)
        connection.end_sending()
        for _ in range(count):
            assert (await connection.answer())[0] in {200, 400}
        assert await connection.closed()
        await connection.close()
    assert len(await executions(pool)) == 9


CUT_OFF = (
    execute("echo", '{"cut":true}')[:-1],
    execute("echo", '{"cut":true}').replace(b"execute", b"execute?", 1)[:-1],
    execute("echo", '{"cut":true}', *UPGRADE)[:-1],
    execute("echo", '{"cut":true}').partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
    execute("echo", '{"cut":true}').partition(b"content-type")[0],
    CHUNKED,
    CHUNKED + b'11\r\n{"input":{"n":1}}\r\n',
    FUNCTION[:-1],
    b"P",
    b"",
)


@pytest.mark.alone
async def test_half_close_in_the_middle_of_a_request_starts_nothing_and_closes(patient_port: Port, pool: Any) -> None:
    for sent in CUT_OFF:
        connection = await patient_port.connect()
        connection.send(sent)
        await asyncio.sleep(0.02)
        connection.end_sending()
        async with asyncio.timeout(0.5):  # no timer of the server is as short
            assert await connection.closed(), sent
        await connection.close()
    assert await pool.fetchval("SELECT count(*) FROM executions") == 0
    assert await pool.fetchval("SELECT count(*) FROM functions WHERE name = 'new'") == 0


async def test_half_close_in_the_middle_of_a_pipelined_request_gets_the_answers_before_it(
    port: Port, pool: Any
) -> None:
    for sent in CUT_OFF:
        connection = await port.connect()
        connection.send(execute("echo", '{"slow":1}', "x-request-id: 1") + HEALTH + sent)
        connection.end_sending()
        assert (await connection.answer())[2]["output"] == {"slow": 1}
        assert (await connection.answer())[2]["status"] == "UP"
        assert await connection.closed(), sent
        await connection.close()
    assert await executions(pool) == [{"slow": 1}] * len(CUT_OFF)


@pytest.mark.alone
async def test_half_close_of_an_idle_connection_closes_it(patient_port: Port) -> None:
    for sent in (b"", execute(), HEALTH, execute("echo", "{}", *UPGRADE)):
        connection = await patient_port.connect()
        if sent:
            connection.send(sent)
            assert (await connection.answer())[0] == 200
        connection.end_sending()
        async with asyncio.timeout(0.5):
            assert await connection.closed(), sent
        await connection.close()
    await eventually(partial(client_sockets, patient_port.number), lambda count: count == 0)


async def test_half_close_leaves_no_socket_of_a_client_that_has_left(port: Port, pool: Any) -> None:
    """A full close looks like a half-close until the answer is sent."""
    for number, leave in enumerate(("close", "end_sending", "reset")):
        for part, sent in enumerate(
            (execute("loop"), execute("loop") + execute() * 3 + HEALTH, execute("loop") + execute()[:-1])
        ):
            connection = await port.connect()
            connection.send(sent)
            begun = 3 * number + part + 1
            await eventually(partial(pool.fetchval, LOOPS), begun.__eq__)
            if leave == "close":
                await connection.close()
            elif leave == "end_sending":
                connection.end_sending()
                await connection.reader.read()
                await connection.close()
            else:
                connection.reset()
    await eventually(partial(client_sockets, port.number), lambda count: count == 0)

    async def running() -> int:
        return int(await pool.fetchval("SELECT count(*) FROM executions WHERE status = 'RUNNING'"))

    await eventually(running, lambda count: count == 0)
    assert await pool.fetchval("SELECT count(*) FROM executions WHERE error_message LIKE 'time limit%'") == 9


@pytest.mark.parametrize("leave", [Connection.close, Connection.reset])
async def test_half_close_does_not_hide_a_client_that_leaves_with_answers_unread(
    port: Port, connection: Connection, leave: Any
) -> None:
    large = execute("echo", json.dumps({"a": "x" * 60_000}))
    leaving = await port.connect()
    for _ in range(20):
        leaving.send(large)
    await asyncio.sleep(0.5)  # the server has answers that it cannot send
    left = leave(leaving)
    if left is not None:
        await asyncio.wait([asyncio.ensure_future(left)], timeout=1)
        leaving.writer.transport.abort()
    await eventually(partial(client_sockets, port.number), lambda count: count == 1)  # that of `connection`
    connection.send(execute())
    assert (await connection.answer())[0] == 200
