"""The time from the creation of a function until it is READY, and a flood of such functions."""

import time
from itertools import count
from pathlib import Path

from bench import servers
from bench.client import FUNCTIONS, Client, client_of, warm_faas
from bench.compiler import compile_cold
from bench.plan import Plan
from bench.stats import Figure, at_most, figure, in_turns

SOURCE = "echo.as.ts"
_numbers = count()


def measure(plan: Plan) -> list[Figure]:
    """Compare a warm compiler with a cold one, ten functions with one, and the first function after a start."""
    folder, data_dir = plan.place("compile"), plan.data_dir("compile-data")
    with warm_faas(data_dir) as (_, client):
        seconds_to_ready(client, 2)  # both compilers
        plan.progress("one, ten, and a cold asc")
        rounds = in_turns(
            plan.rounds,
            {
                "one": lambda: seconds_to_ready(client, 1),
                "ten": lambda: seconds_to_ready(client, 10),
                "cold": lambda: compile_cold(FUNCTIONS / SOURCE, folder / "echo.wasm"),
            },
        )
    plan.progress("after a start")
    starts = [_first_compile(data_dir) for _ in range(plan.rounds)]
    one = _ms(rounds["one"])
    return [
        figure("deploy to READY", "ms", at_most(1 / 10), one, ("a cold asc process", _ms(rounds["cold"]))),
        figure("ten at once to READY", "ms", at_most(5), _ms(rounds["ten"]), ("one", one)),
        figure(
            "first to READY after a start",
            "ms",
            at_most(1.1),
            _ms([first for first, _ in starts]),
            ("compiler's start + one", _ms([reference for _, reference in starts])),
        ),
    ]


def create(client: Client, functions: int) -> list[str]:
    """Create `functions` functions, each with a module of its own, and return their names."""
    numbers = [next(_numbers) for _ in range(functions)]
    for number in numbers:
        client.create(f"echo{number}", SOURCE, number=number)
    return [f"echo{number}" for number in numbers]


def seconds_to_ready(client: Client, functions: int) -> float:
    """Create `functions` functions; return the seconds until all are READY."""
    began = time.perf_counter()
    client.await_ready(create(client, functions))
    return time.perf_counter() - began


def _first_compile(data_dir: Path) -> tuple[float, float]:
    """Return the seconds from the start of a server until the first function, created at once, is READY.

    The other value is the seconds until the compiler has started, plus those of another function after that.
    """
    with servers.faas(data_dir) as server, client_of(server) as client:
        names = create(client, 1)
        client.await_toolchain()
        compiler = time.perf_counter() - server.began
        client.await_ready(names)
        first = time.perf_counter() - server.began
        return first, compiler + seconds_to_ready(client, 1)


def _ms(seconds: list[float]) -> list[float]:
    return [value * 1000 for value in seconds]
