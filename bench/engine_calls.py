"""Calls of functions in JavaScript and Python beside the echo in WAT, in one process and in turns.

    python -m bench.engine_calls ROUNDS CALLS

Prints a JSON object: for each case the median of each round in microseconds. "kept" cases may use instances that were
restored after an earlier call, "fresh" ones may not.
"""

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median

from bench.servers import ROOT
from faas import logs, settings
from faas.bootstrap.compilers import LocalRuntime, open_local_runtime
from faas.compile.outcome import CompileFailure

_NAME = b'{"name": "you"}'
_ORDER = b'{"placed": "2026-02-27", "lines": [{"price": 2.5, "count": 4}]}'
_INVOICE = b'{"mail": "me@example.org", "lines": [{"sku": "a", "quantity": 2, "price": "1.25"}]}'
_EXAMPLES = ROOT / "examples"
_HELLO_JS = "export const handle = ({ name }) => ({ greeting: `Hello, ${name}!` });"
_HELLO_PY = "def handle(event):\n    return {'greeting': f\"Hello, {event['name']}!\"}\n"
CASES = {  # language, source, input
    "wat": ("wat", (_EXAMPLES / "echo.wat").read_text(), _NAME),
    "javascript hello": ("javascript", _HELLO_JS, _NAME),
    "javascript order": ("javascript", (_EXAMPLES / "order.js").read_text(), _ORDER),
    "python hello": ("python", _HELLO_PY, _NAME),
    "python invoice": ("python", (_EXAMPLES / "invoice.py").read_text(), _INVOICE),
}
_WARM_UP_CALLS = 20

Call = Callable[[], Awaitable[None]]


async def main(rounds: int, calls: int) -> dict[str, list[float]]:
    """Return the medians of the rounds by case."""
    chosen = settings.load({})
    results: dict[str, list[float]] = {}
    async with open_local_runtime(chosen) as keeping, open_local_runtime(chosen) as fresh:
        fresh.runtime.kept_instances.close()
        cases: dict[str, Call] = {}
        for name, (language, source, document) in CASES.items():
            cases[f"{name} kept"] = await _case(keeping, language, source, document)
            if language != "wat":
                cases[f"{name} fresh"] = await _case(fresh, language, source, document)
        order = list(cases)
        for _ in range(rounds):
            for name in order:
                results.setdefault(name, []).append(await _median_microseconds(cases[name], calls))
            order.reverse()
    return results


async def _case(local: LocalRuntime, language: str, source: str, document: bytes) -> Call:
    compiled = await local.compilers[language].compile(source)
    if isinstance(compiled, CompileFailure):
        raise SystemExit(compiled.diagnostics)
    if fault := await local.runtime.check(compiled.binary):
        raise SystemExit(fault)
    digest = hashlib.sha256(compiled.binary).digest()

    async def load() -> bytes:
        return compiled.binary

    async def call() -> None:
        outcome = await local.runtime.run(digest, load, document)
        if outcome.error is not None:
            raise SystemExit(outcome.error)

    return call


async def _median_microseconds(call: Call, calls: int) -> float:
    for _ in range(_WARM_UP_CALLS):
        await call()
    seconds = []
    for _ in range(calls):
        began = time.perf_counter()
        await call()
        seconds.append(time.perf_counter() - began)
    return median(seconds) * 1e6


if __name__ == "__main__":
    logs.configure("console", "error")
    print(json.dumps(asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))))
