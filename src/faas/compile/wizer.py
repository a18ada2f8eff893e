"""Wizer: runs a module's start-up code once at compile time instead of in every execution.

A new instance runs `_initialize` first; with json-as that takes most of a small function's time. Wizer runs it in a
confined process and writes the resulting memory and globals into the module, the snapshot. Start-up code that calls an
import (`Date.now`, `Math.random`, `console.log`), traps or exceeds the timeout still runs in every execution.
"""

import platform
from pathlib import Path

import structlog

from faas.sandbox import OneShotFailed, OneShotProcess, Sandbox

log = structlog.get_logger()

_ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}  # platform.machine() → name in the npm package
_TIMEOUT_SECONDS = 5.0  # an execution has its own limit


class Wizer:
    """Makes snapshots with the Wizer of `toolchain`, within `memory` bytes and `size_limit` bytes a snapshot."""

    def __init__(self, toolchain: Path, *, memory: int, size_limit: int) -> None:
        architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
        self.program = toolchain / "node_modules" / "@bytecodealliance" / f"wizer-linux-{architecture}" / "wizer"
        sandbox = Sandbox(
            name="Wizer",
            command=[str(self.program), "--init-func", "_initialize"],
            readable=[],
            memory=memory,
            memory_files=True,  # Wizer's engine maps the initial memory of a module from one
        )
        self._process = OneShotProcess(sandbox, timeout=_TIMEOUT_SECONDS, answer_limit=size_limit)

    async def snapshot(self, binary: bytes) -> bytes:
        """Return the snapshot of `binary`, or `binary` itself when its start-up code must run in each execution."""
        try:
            return await self._process.run(binary)
        except (OneShotFailed, OSError) as error:
            log.debug("snapshot.failed", reason=str(error))
            return binary

    async def close(self) -> None:
        """Kill the process that was started for the next module."""
        await self._process.close()
