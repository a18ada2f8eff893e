"""Processes that take places of a shared limit as fast as they can, and find out whether there are too many at once.

A process that has a place holds a byte of a pipe, which has as many bytes as the limit has places.
"""

import asyncio
import os
import subprocess
import sys

from faas.shared_limits import SharedMemory

_PROGRAM = """
import os, sys, time
from uuid import UUID
from faas.errors import FunctionLimitReached
from faas.executions.admission import KnownLimits
from faas.executions.shared_admission import SharedAdmission
from faas.function_ref import FunctionRef
from faas.function_settings import FunctionLimits
from faas.shared_limits import SharedMemory

kind, memory, slots, slot, limit, takes, gives, seconds = sys.argv[1], *map(int, sys.argv[2:9])
limits = SharedMemory(memory, slots).limits(slot)
admission = SharedAdmission(limits.functions)
name, known = FunctionRef.by_name("f"), KnownLimits(UUID(int=7), FunctionLimits(concurrency=limit))
os.set_blocking(takes, False)

def enter():
    if kind == "count":
        return limits.executions.enter(limit)
    try:
        admission.enter(name, known)
    except FunctionLimitReached:
        return False
    return True

def leave():
    limits.executions.leave() if kind == "count" else admission.leave(known)

admitted = too_many = 0
end = time.monotonic() + seconds
while time.monotonic() < end:
    if not enter():
        continue
    admitted += 1
    try:
        token = os.read(takes, 1)
    except BlockingIOError:
        too_many += 1
        token = b""
    os.write(gives, token)
    leave()
print(admitted, too_many)
"""


async def take(kind: str, memory: SharedMemory, *, limit: int, seconds: int, processes: int) -> list[tuple[int, int]]:
    """Return for each process how many places it got, and how often more than `limit` were taken.

    `kind` is "count", a SharedCount, or "function", a concurrency of SharedAdmission.
    """
    takes, gives = os.pipe()
    os.write(gives, bytes(limit))
    descriptors = (memory.descriptor, takes, gives)
    started = []
    for slot in range(processes):
        numbers = (memory.descriptor, memory.slots, slot, limit, takes, gives, seconds)
        started.append(
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", _PROGRAM, kind, *map(str, numbers), stdout=subprocess.PIPE, pass_fds=descriptors
            )
        )
    outputs = [(await process.communicate())[0].decode() for process in started]
    os.close(takes)
    os.close(gives)
    return [(int(admitted), int(too_many)) for admitted, too_many in (output.split() for output in outputs)]
