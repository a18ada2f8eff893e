"""A module's start-up code, run once at compile time instead of in every execution.

A fresh instance runs `_initialize` first: with json-as that is most of a small function's time. Wizer runs it here, in
a confined process, and writes the memory and the globals that it left into the module. Start-up code that calls an
import (`Date.now`, `Math.random`, `console.log`), traps, or does not end soon is left to the executions, as it was.
"""

import platform
from pathlib import Path

import structlog

from faas.sandbox import OneShotFailed, OneShotProcess, Sandbox

log = structlog.get_logger()

_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}
_TIMEOUT = 5.0  # seconds; an execution has its own limit


class Snapshots:
    """Takes snapshots with the Wizer of `toolchain`; each may use `memory` bytes and give a module of `size_limit`."""

    def __init__(self, toolchain: Path, *, memory: int, size_limit: int) -> None:
        machine = _MACHINES.get(platform.machine(), platform.machine())
        self.program = toolchain / "node_modules" / "@bytecodealliance" / f"wizer-linux-{machine}" / "wizer"
        sandbox = Sandbox(
            name="running the start-up code",
            command=[str(self.program), "--init-func", "_initialize"],
            readable=[],
            memory=memory,
            memory_files=True,  # Wizer's engine keeps a module's first memory in one
        )
        self._wizer = OneShotProcess(sandbox, timeout=_TIMEOUT, answer_limit=size_limit)

    async def take(self, binary: bytes) -> bytes:
        """`binary` as it is after its start-up code, or `binary` itself when that must run in each execution."""
        try:
            return await self._wizer.run(binary)
        except (OneShotFailed, OSError) as error:
            log.debug("snapshot.not_taken", reason=str(error))
            return binary

    async def close(self) -> None:
        """Kill what waits for the next module."""
        await self._wizer.close()
