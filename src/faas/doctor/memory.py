"""Check of the memory: the machine's, or what the control group leaves of it."""

import os
from collections.abc import Iterator

from faas.control_group import memory_limit
from faas.doctor.finding import Finding, fail, ok, warn
from faas.doctor.limits import KEPT_INSTANCES
from faas.doctor.shown import show_size
from faas.settings import Settings

# Measured: an idle server takes 83 MB, its Postgres 24 MB, the precompiler 34 MB, a warm compiler of AssemblyScript
# 394 MB.
FAIL_MEMORY_BYTES = 256 << 20
WARN_MEMORY_BYTES = 1 << 30
# At most: 32 instances of engines with 8 MiB each, for as long as they are kept (decision 31).
KEPT_INSTANCES_BYTES = KEPT_INSTANCES * (8 << 20)


def check(settings: Settings) -> Iterator[Finding]:
    """Check the memory that faas may use here."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield check_memory(settings, machine, memory_limit())


def check_memory(settings: Settings, machine: int, group_limit: int | None) -> Finding:
    """Check `machine` bytes, of which the control group allows `group_limit`."""
    size, origin = machine, "of the machine"
    raise_it = "use a larger machine"
    if group_limit is not None and group_limit < machine:
        size, origin = group_limit, "allowed by the control group"
        raise_it = "raise it (MemoryMax= in systemd, --memory of the container)"
    found = f"{show_size(size)} {origin}"
    if size < FAIL_MEMORY_BYTES:
        return fail("memory", f"{found}; at least {show_size(FAIL_MEMORY_BYTES)} are needed", raise_it)
    if size < WARN_MEMORY_BYTES:
        remedy = f"{raise_it}, or do not compile AssemblyScript here (--languages wat,wasm, or --role api)"
        return warn("memory", f"{found}; compiling takes {show_size(WARN_MEMORY_BYTES)}", remedy)
    if settings.compile_memory > size:
        limit = show_size(settings.compile_memory)
        remedy = f"lower FAAS_COMPILE_MEMORY (--compile-memory) below it, or {raise_it}"
        return warn("memory", f"{found}; one compiler process may take {limit}", remedy)
    at_once = (size - KEPT_INSTANCES_BYTES) // settings.memory_limit
    if at_once < 1:
        remedy = f"lower FAAS_MEMORY_LIMIT (--memory-limit), or {raise_it}"
        return warn("memory", f"{found}; one execution may take {show_size(settings.memory_limit)}", remedy)
    kept = f"beside {show_size(KEPT_INSTANCES_BYTES)} for kept instances"
    return ok("memory", f"{found}: {at_once:,} executions of {show_size(settings.memory_limit)} fill it, {kept}")
