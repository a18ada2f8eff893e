"""The time from the creation of a function until it is READY."""

import time
from itertools import count
from pathlib import Path

from bench import servers
from bench.client import FUNCTIONS, Client, client_of
from bench.compiler import compile_cold
from bench.plan import Plan
from bench.stats import Figure, at_most, figure, in_turns

_SOURCE = "echo.as.ts"
_numbers = count()


def measure(plan: Plan) -> list[Figure]:
    """Compare a warm compiler with a cold one, ten functions with one, and the first function after a start."""
    folder = plan.place("compile")
    with servers.faas(folder / "data") as server, client_of(server) as client:
        client.await_toolchain()
        seconds_to_ready(client, 2)  # both compilers
        plan.progress("one, ten, and a cold asc")
        rounds = in_turns(
            plan.rounds,
            {
                "one": lambda: seconds_to_ready(client, 1),
                "ten": lambda: seconds_to_ready(client, 10),
                "cold": lambda: compile_cold(FUNCTIONS / _SOURCE, folder / "echo.wasm"),
            },
        )
    plan.progress("after a start")
    starts = in_turns(
        plan.rounds,
        {"first": lambda: _first_compile(folder / "data"), "start": lambda: _compiler_start(folder / "data")},
    )
    started = [start + one for start, one in zip(starts["start"], rounds["one"], strict=True)]
    one, ten = _ms(rounds["one"]), _ms(rounds["ten"])
    return [
        figure("deploy to READY", "ms", at_most(1 / 8), one, ("a cold asc process", _ms(rounds["cold"]))),
        figure("ten at once to READY", "ms", at_most(6), ten, ("one", one)),
        figure(
            "first to READY after a start",
            "ms",
            at_most(1.1),
            _ms(starts["first"]),
            ("compiler's start + one", _ms(started)),
        ),
    ]


def seconds_to_ready(client: Client, functions: int) -> float:
    """Create `functions` functions with different sources; return the seconds until all are READY."""
    names = [f"echo{next(_numbers)}" for _ in range(functions)]
    began = time.perf_counter()
    for name in names:
        client.create(name, _SOURCE, comment=name)
    client.await_ready(names)
    return time.perf_counter() - began


def _first_compile(data_dir: Path) -> float:
    """Return the seconds from the start of the server until a function that is created at once is READY."""
    with servers.faas(data_dir) as server, client_of(server) as client:
        seconds_to_ready(client, 1)
        return time.perf_counter() - server.began


def _compiler_start(data_dir: Path) -> float:
    """Return the seconds from the start of the server until its idle compiler is UP."""
    with servers.faas(data_dir) as server, client_of(server) as client:
        client.await_toolchain()
        return time.perf_counter() - server.began


def _ms(seconds: list[float]) -> list[float]:
    return [value * 1000 for value in seconds]
