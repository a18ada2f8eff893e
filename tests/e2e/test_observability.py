"""Tests of the log and the metrics, and of the documented search for a stuck compilation."""

import asyncio
import os
import pty
import re
import signal
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.helpers.server import COMMAND, Server, client_of, freeze_compilers, serving
from tests.helpers.support import ECHO_TS, LOOP_WAT, Platform, core_wat, eventually

DOCS = Path(__file__).parents[2] / "docs"
OPERATIONS = DOCS / "how-to" / "operate.md"
METRICS = DOCS / "reference" / "metrics-and-logs.md"


async def event(server: Server, name: str, **fields: object) -> dict[str, Any]:
    """Wait for an event with these fields and return the first one."""

    async def found() -> list[dict[str, Any]]:
        return [line for line in server.events(name) if fields.items() <= line.items()]

    return (await eventually(found))[0]


class Metrics:
    """The values of /metrics by name and labels."""

    def __init__(self, text: str) -> None:
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    @classmethod
    async def read(cls, http: httpx.AsyncClient) -> "Metrics":
        return cls((await http.get("/metrics")).text)

    def __call__(self, name: str, **labels: str) -> float:
        return self._samples[name, frozenset(labels.items())]


async def test_log_lines_are_json_with_ids(server: Server, served: Platform) -> None:
    """All events of a request carry its id, those of the compilation in the background too. stderr is a pipe here."""
    body = {"name": "echo", "language": "assemblyscript", "source": ECHO_TS}
    registered = await served.http.post("/functions", json=body, headers={"X-Request-Id": "deploy-1"})
    await served.settled("echo")
    executed = await served.http.post("/functions/echo/execute", json={}, headers={"X-Request-Id": "call-1"})

    of_function = {"functionId": registered.json()["id"], "revision": 1}
    for name in ("function.created", "compilation.started", "compilation.finished", "compilation_result.applied"):
        line = await event(server, name, **of_function, requestId="deploy-1")
        assert line["level"] == "info"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["timestamp"])
    line = await event(server, "execution.finished", **of_function, requestId="call-1")
    assert (line["executionId"], line["status"]) == (executed.json()["id"], "COMPLETED")
    assert line["durationMs"] > 0
    # Each line is an event or belongs to the start message.
    greeting = [line for line in server.lines if not line.startswith("{")]
    assert all(line.startswith(("faas ", "  ")) for line in greeting)
    # Sources, inputs and outputs are never logged.
    assert "export function" not in "".join(server.lines)


async def test_log_lines_on_a_terminal_are_text(database_url: str) -> None:
    terminal, far_end = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        COMMAND, "serve", "--port", "0", "--database-url", database_url, stderr=far_end, stdout=asyncio.subprocess.DEVNULL,
        env={"PATH": "", "HOME": "/nonexistent", "TERM": "xterm", "COLUMNS": "400"},
    )  # fmt: skip
    os.close(far_end)
    written = bytearray()
    loop = asyncio.get_running_loop()
    loop.add_reader(terminal, lambda: written.extend(_read(terminal)))

    async def shown() -> str:
        return re.sub(r"\x1b\[[\d;]*m|\x1b\]8;[^\x1b]*\x1b\\", "", written.decode("utf-8", "replace"))

    try:
        address = re.search(r"serves (http://\S+)", await eventually(shown, lambda text: "serves http" in text))
        assert address
        async with httpx.AsyncClient(base_url=address[1], timeout=30, trust_env=False) as http:
            platform = Platform(http, None)  # type: ignore[arg-type]
            function = await platform.deploy("echo", core_wat())
            execution = await platform.execute("echo")
        text = await eventually(shown, lambda text: "execution.finished" in text)
        (line,) = [line for line in text.splitlines() if "execution.finished" in line]
        assert re.match(r"\d\d:\d\d:\d\d \[info", line)
        for field in (f"execution_id={execution['id']}", f"function_id={function['id']}", "revision=1", "request_id="):
            assert field in line
        assert '{"' not in text
        assert b"\x1b[" in written  # in colour
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 40) == 0
        loop.remove_reader(terminal)
        os.close(terminal)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the far end is closed
        return b""


async def test_metrics_count_the_work_done(database_url: str) -> None:
    """Every metric in docs/reference/metrics-and-logs.md has the right value after real work."""
    settings = ("--database-url", database_url, "--time-limit", "2s", "--max-in-flight", "1", "--database-pool", "5")
    async with serving(*settings) as server, client_of(server, database_url) as platform:
        await platform.deploy("echo", core_wat())
        await platform.deploy("loop", LOOP_WAT)
        await platform.register("bad", "(module")
        assert (await platform.settled("bad"))["status"] == "FAILED"
        for _ in range(3):
            await platform.execute("echo")
        looping = asyncio.create_task(platform.execute("loop"))

        async def in_flight() -> float:
            return (await Metrics.read(platform.http))("faas_executions_in_flight")

        assert await eventually(in_flight, lambda count: count == 1) == 1
        assert (await platform.http.post("/functions/echo/execute", json={})).status_code == 429
        await looping
        # Two invisible messages, the older one sent 100 s ago.
        await platform.pool.execute("SELECT pgmq.send('compilation_jobs', '{}', 600) FROM generate_series(1, 2)")
        await platform.pool.execute(
            "UPDATE pgmq.q_compilation_jobs SET enqueued_at = now() - interval '100 s' WHERE msg_id IN "
            "(SELECT min(msg_id) FROM pgmq.q_compilation_jobs)"
        )
        told = await Metrics.read(platform.http)
        assert told("faas_executions_seconds_count", status="COMPLETED") == 3
        assert told("faas_executions_seconds_bucket", status="COMPLETED", le="+Inf") == 3
        assert told("faas_executions_seconds_count", status="FAILED") == 1
        assert told("faas_executions_seconds_bucket", status="FAILED", le="1.0") == 0
        assert told("faas_executions_seconds_sum", status="FAILED") > 1.5
        assert told("faas_executions_in_flight") == 0
        assert told("faas_executions_refused_total") == 1
        assert told("faas_compilations_seconds_count", language="wat", outcome="compiled") == 2
        assert told("faas_compilations_seconds_count", language="wat", outcome="failed") == 1
        assert told("faas_compilations_seconds_sum", language="wat", outcome="compiled") > 0
        assert told("faas_compilations_in_flight") == 0
        assert told("faas_queue_messages", queue="compilation_jobs") == 2
        assert 100 <= told("faas_queue_oldest_seconds", queue="compilation_jobs") < 200
        assert told("faas_queue_messages", queue="compilation_results") == 0
        assert told("faas_queue_oldest_seconds", queue="compilation_results") == 0
        pool = [told("faas_database_connections", state=state) for state in ("idle", "used")]
        assert 1 <= sum(pool) <= 5
        assert pool[0] >= 1
        named = set(re.findall(r"`(faas_[a-z_]+)", METRICS.read_text()))
        assert len(named) >= 8
        for name in named:
            assert any(name in (known, f"{known}_total") or known.startswith(name) for known, _ in told._samples), name


async def test_stuck_compilation_is_found_as_documented(database_url: str) -> None:
    """The steps of docs/how-to/operate.md, "A compilation is stuck", find a compilation that does not end."""
    settings = ("--database-url", database_url, "--languages", "assemblyscript")  # whose compiler alone is a Node
    async with serving(*settings) as server, client_of(server, database_url) as platform:
        (stuck,) = await freeze_compilers(server, "worker.mjs")
        function = await platform.register("stuck", ECHO_TS, "assemblyscript")

        async def age() -> float:
            told = await Metrics.read(platform.http)
            return told("faas_queue_oldest_seconds", queue="compilation_jobs")

        # 1. The age of the oldest job grows, and a compilation is in flight.
        await eventually(age, lambda seconds: seconds >= 2)
        told = await Metrics.read(platform.http)
        assert told("faas_queue_messages", queue="compilation_jobs") == 1
        assert told("faas_compilations_in_flight") == 1
        assert (await platform.http.get("/health")).status_code == 200
        # 2. The function: compilation started and not finished.
        begun = {line["functionId"] for line in server.events("compilation.started")}
        done = {line["functionId"] for line in server.events("compilation.finished")}
        assert begun - done == {function["id"]}
        # 3. The message, read with the documented statement, is invisible.
        section = OPERATIONS.read_text().split("## A compilation is stuck")[1]
        (statement, *_) = re.findall(r"```sql\n(.*?);", section, flags=re.DOTALL)
        (message,) = await platform.pool.fetch(re.sub(r"--.*", "", statement).replace("01a1…", function["id"]))
        assert (message["read_ct"], message["revision"]) == (1, "1")
        assert await platform.pool.fetchval("SELECT $1::timestamptz > now()", message["vt"])
        # 4. Kill the compiler; a new one compiles the job.
        (started,) = [line for line in server.events() if line.get("worker") == "AssemblyScript compiler"]
        assert started["pid"] == stuck
        os.kill(started["pid"], signal.SIGKILL)
        assert (await platform.settled("stuck", timeout=60))["status"] == "READY"
        assert (await event(server, "compilation.finished", functionId=function["id"]))["outcome"] == "compiled"
        assert await age() == 0
