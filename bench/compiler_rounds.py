"""Compilations in process, without a queue and a database, for rounds as in bench/peers/rounds.py.

    python -m bench.compiler_rounds FILE COMPILATIONS

FILE is one of bench/functions. A round prints the compilations per second of as many compilers as a server has, each
with the next source as soon as it has compiled one; what they make is precompiled, too, as in a deploy.
"""

import asyncio
import sys
import time
from itertools import count

from bench.client import language_of, source_of
from faas import logs, settings
from faas.bootstrap.compilers import open_local_runtime
from faas.compile.outcome import CompileFailure

_WARM_UP_COMPILATIONS = 3  # of each compiler


async def main(file: str, compilations: int) -> None:
    """Start the compilers, print "ready", and the compilations per second for each line of the input."""
    chosen = settings.load({})
    numbers = count()
    async with open_local_runtime(chosen) as local:
        compiler = local.compilers[language_of(file)]

        async def compile_some(number: int) -> None:
            for _ in range(number):
                compiled = await compiler.compile(source_of(file, next(numbers)))
                if isinstance(compiled, CompileFailure):
                    raise SystemExit(compiled.diagnostics)
                if fault := await local.runtime.check(compiled.binary):
                    raise SystemExit(fault)

        async def on_all_compilers(number: int) -> float:
            began = time.perf_counter()
            async with asyncio.TaskGroup() as tasks:
                for _ in range(chosen.compile_workers):
                    tasks.create_task(compile_some(number))
            return number * chosen.compile_workers / (time.perf_counter() - began)

        await on_all_compilers(_WARM_UP_COMPILATIONS)
        print("ready", flush=True)
        for _ in sys.stdin:
            print(await on_all_compilers(max(1, compilations // chosen.compile_workers)), flush=True)


if __name__ == "__main__":
    logs.configure("console", "error")
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
