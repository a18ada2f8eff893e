"""`make bench`: what the two hot paths cost, from outside, on a server of its own.

Starts `faas serve` on an embedded Postgres in a temporary folder, and measures over HTTP: executions one after the
other, the same by 16 and 64 clients at once, and the time from registering to READY. Medians of ROUNDS rounds.
Machines are noisy: compare figures of one run with each other, not across machines.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROUNDS = 5
SOURCE = """import { JSON } from "json-as";
@json class Input { a: f64 = 0; b: f64 = 0; }
@json class Output { sum: f64 = 0; }
export function handle(input: string): string {
  const asked = JSON.parse<Input>(input);
  const answer = new Output();
  answer.sum = asked.a + asked.b;
  return JSON.stringify(answer);
}"""
ECHO = "export function handle(input: string): string { return input; }"


async def settled(http: httpx.AsyncClient, name: str) -> None:
    """Wait until the function is READY."""
    while (found := (await http.get(f"/functions/{name}")).json())["status"] in {"PENDING", "COMPILING"}:
        await asyncio.sleep(0.005)
    assert found["status"] == "READY", found["compileError"]


async def executions_per_second(http: httpx.AsyncClient, clients: int, calls: int) -> float:
    """`calls` executions by so many clients at once."""

    async def client(share: int) -> None:
        for _ in range(share):
            response = await http.post("/functions/add/execute", json={"input": {"a": 1, "b": 2}})
            assert response.json()["output"] == {"sum": 3}, response.text

    began = time.perf_counter()
    await asyncio.gather(*(client(calls // clients) for _ in range(clients)))
    return calls / (time.perf_counter() - began)


async def compile_seconds(http: httpx.AsyncClient, names: list[str]) -> float:
    """From the first registration until all are READY."""
    began = time.perf_counter()
    for name in names:
        body = {"name": name, "language": "assemblyscript", "source": f"{ECHO} // {name}"}
        assert (await http.post("/functions", json=body)).status_code == 201
    await asyncio.gather(*(settled(http, name) for name in names))
    return time.perf_counter() - began


async def measure(url: str) -> dict[str, float]:
    """Every figure, by name."""
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits, trust_env=False) as http:
        body = {"name": "add", "language": "assemblyscript", "source": SOURCE}
        assert (await http.post("/functions", json=body)).status_code == 201
        await settled(http, "add")
        await executions_per_second(http, 1, 50)  # warm up
        figures: dict[str, float] = {}
        for clients, calls in ((1, 100), (16, 480), (64, 640)):
            rates = [await executions_per_second(http, clients, calls) for _ in range(ROUNDS)]
            figures[f"executions/s, {clients} at once"] = statistics.median(rates)
        one = [await compile_seconds(http, [f"one{number}"]) for number in range(ROUNDS)]
        figures["register to READY, one (ms)"] = statistics.median(one) * 1000
        figures["register to READY, ten at once (ms)"] = (
            await compile_seconds(http, [f"ten{n}" for n in range(10)]) * 1000
        )
        return figures


def main() -> None:
    """Measure and print a table, or JSON with --json."""
    command = str(Path(sys.executable).parent / "faas")
    with tempfile.TemporaryDirectory(prefix="faas-bench-") as folder:
        server = subprocess.Popen(
            [command, "serve", "--port", "0", "--data-dir", folder, "--log-level", "warning"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert server.stderr
        try:
            url = next(line.split(" serves ")[1].strip() for line in server.stderr if " serves " in line)
            figures = asyncio.run(measure(url))
        finally:
            server.terminate()
            server.wait(60)
    if "--json" in sys.argv:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<38} {value:>10.1f}")


if __name__ == "__main__":
    main()
