"""Calls of a function in JavaScript or Python in process, for rounds as in bench/peers/rounds.py.

    python -m bench.engine_rounds FILE kept|fresh

FILE is one of bench/functions. "fresh" calls never use an instance that was restored after an earlier call.
"""

import asyncio
import hashlib
import statistics
import sys
import time

from bench.client import INPUT, language_of, source_of
from bench.peers.rounds import ROUND_SECONDS
from faas import logs, settings
from faas.bootstrap.compilers import open_local_runtime
from faas.compile.outcome import CompileFailure

_WARM_UP_CALLS = 20


async def main(file: str, kind: str) -> None:
    """Compile the function, print "ready", and the median call in microseconds for each line of the input."""
    async with open_local_runtime(settings.load({})) as local:
        if kind == "fresh":
            local.runtime.kept_instances.close()
        compiled = await local.compilers[language_of(file)].compile(source_of(file))
        if isinstance(compiled, CompileFailure):
            raise SystemExit(compiled.diagnostics)
        digest = hashlib.sha256(compiled.binary).digest()

        async def load() -> bytes:
            return compiled.binary

        async def call() -> None:
            outcome = await local.runtime.run(digest, load, INPUT.encode())
            if outcome.error is not None:
                raise SystemExit(outcome.error)

        for _ in range(_WARM_UP_CALLS):
            await call()
        print("ready", flush=True)
        for _ in sys.stdin:
            seconds = []
            end = time.perf_counter() + ROUND_SECONDS
            while time.perf_counter() < end:
                began = time.perf_counter()
                await call()
                seconds.append(time.perf_counter() - began)
            print(statistics.median(seconds) * 1e6, flush=True)


if __name__ == "__main__":
    logs.configure("console", "error")
    asyncio.run(main(sys.argv[1], sys.argv[2]))
