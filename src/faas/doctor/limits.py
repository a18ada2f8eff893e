"""Checks of the limits that the shell or the service manager sets: `ulimit -n`, `-u`, `-v` and `-s`."""

import resource
from collections.abc import Iterator

from faas.control_group import process_limit
from faas.doctor.finding import Finding, fail, ok, warn
from faas.doctor.shown import show_limit, show_size
from faas.settings import Settings
from faas.shares import own_connections, share_of

# Measured: with 64 descriptors the embedded Postgres starts, with 60 it refuses to; an idle server has 31 open.
OWN_DESCRIPTORS = 64
# Measured: the server, its Postgres and its compilers have 32 processes and threads before the first request; a
# compiler has 6 threads.
OWN_PROCESSES = 64
COMPILER_THREADS = 6
# Measured: a second or later worker that is idle has 4 threads and a precompiler, beside its connections.
WORKER_PROCESSES = 8
# Measured: a pool of 257 slots takes 1,041 GiB, 4.05 GiB for each.
SLOT_BYTES = 4 << 30
# Measured: without a pool one execution starts with 6 GiB of address space, and not with 4.
FAIL_ADDRESS_SPACE_BYTES = 6 << 30
# Measured on x86-64: a pool of 20,000 slots can be made, one of 24,000 aborts the process. A process has 128 TiB, and
# the kernel places what it maps first anywhere in it. This is for both pools: of modules, and of engines.
POOL_ADDRESS_SPACE_BYTES = 80 << 40
KEPT_INSTANCES = 32  # slots of the second pool beside those for executions; as in runtime/kept_instances.py
MAIN_STACK_BYTES = 1 << 20  # of the event loop's thread, beside the guest's; as in runtime/inline_policy.py


def check(settings: Settings) -> Iterator[Finding]:
    """Check the limits of this process, which those that it starts inherit."""
    yield check_open_files(settings, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield check_processes(settings, resource.getrlimit(resource.RLIMIT_NPROC)[0], process_limit())
    yield check_address_space(settings, resource.getrlimit(resource.RLIMIT_AS)[0])
    yield check_stack(settings, resource.getrlimit(resource.RLIMIT_STACK)[0])


def check_open_files(settings: Settings, limit: int) -> Finding:
    """Check `ulimit -n`: a descriptor for each connection, of clients and to the database."""
    pool = share_of(settings, first=True).database_pool
    wanted = OWN_DESCRIPTORS + settings.max_in_flight + pool + own_connections(settings)
    found = f"{show_limit(limit)} (ulimit -n)"
    remedy = f"raise it to {_round_up(wanted):,} or more: `ulimit -n`, LimitNOFILE= in systemd"
    if _below(limit, OWN_DESCRIPTORS):
        return fail("open-files", f"{found}; the server and Postgres alone need {OWN_DESCRIPTORS}", remedy)
    if _below(limit, wanted):
        why = f"{wanted:,} are needed for {settings.max_in_flight:,} executions in flight (FAAS_MAX_IN_FLIGHT)"
        return warn("open-files", f"{found}; {why}", remedy)
    return ok("open-files", f"{found}, {wanted:,} needed with {settings.max_in_flight:,} executions in flight")


def check_processes(settings: Settings, limit: int, group_limit: int | None) -> Finding:
    """Check `ulimit -u` and the control group's pids.max: a thread for each execution that is not quick."""
    further = WORKER_PROCESSES + share_of(settings, first=False).database_pool + own_connections(settings)
    wanted = (
        OWN_PROCESSES + settings.max_in_flight + settings.database_pool + COMPILER_THREADS * settings.compile_workers
    ) + (settings.workers - 1) * further
    name, remedy = "ulimit -u", f"raise it to {_round_up(wanted):,} or more: `ulimit -u`, LimitNPROC= in systemd"
    if group_limit is not None and _below(group_limit, limit if limit != resource.RLIM_INFINITY else group_limit + 1):
        limit, name = group_limit, "pids.max of the control group"
        remedy = f"raise it to {_round_up(wanted):,} or more: TasksMax= in systemd, --pids-limit of the container"
    found = f"{show_limit(limit)} ({name})"
    if _below(limit, OWN_PROCESSES):
        return fail("processes", f"{found}; the server, Postgres and the compilers need {OWN_PROCESSES}", remedy)
    if _below(limit, wanted):
        why = f"{wanted:,} threads are needed for {settings.max_in_flight:,} executions in flight (FAAS_MAX_IN_FLIGHT)"
        return warn("processes", f"{found}; {why}", remedy)
    return ok("processes", f"{found}, {wanted:,} needed with {settings.max_in_flight:,} executions in flight")


def check_address_space(settings: Settings, limit: int) -> Finding:
    """Check `ulimit -v`: the pools reserve SLOT_BYTES, of addresses and not of memory, for each execution in flight.

    The second one, of engines, is made when a function in JavaScript, TypeScript or Python is executed.
    """
    slots = settings.max_in_flight + 1  # one more is the event loop's
    reserved = (slots + slots + KEPT_INSTANCES) * SLOT_BYTES
    pools = f"{show_size(reserved)} for {settings.max_in_flight:,} executions in flight"
    if limit == resource.RLIM_INFINITY:
        if reserved > POOL_ADDRESS_SPACE_BYTES:
            found = f"the two pools would reserve {pools}; the limit is {show_size(POOL_ADDRESS_SPACE_BYTES)}"
            return fail("address-space", found, "lower FAAS_MAX_IN_FLIGHT (--max-in-flight)")
        return ok("address-space", f"unlimited (ulimit -v); the two pools of instances reserve {pools}")
    found = f"{show_size(limit)} (ulimit -v)"
    remedy = (
        "remove the limit: `ulimit -v unlimited`, LimitAS=infinity in systemd; memory is limited by a control group"
    )
    if limit < FAIL_ADDRESS_SPACE_BYTES:
        return fail("address-space", f"{found}; one execution needs {show_size(FAIL_ADDRESS_SPACE_BYTES)}", remedy)
    at_once = max(1, (limit - FAIL_ADDRESS_SPACE_BYTES) // SLOT_BYTES + 1)
    why = f"no pool of instances, so that calls are slower, and about {at_once:,} executions at once"
    return warn("address-space", f"{found}; {why}", remedy)


def check_stack(settings: Settings, limit: int) -> Finding:
    """Check `ulimit -s`: a quick call runs on the event loop's thread, whose stack must hold the guest's."""
    wanted = settings.stack_limit + MAIN_STACK_BYTES
    if _below(limit, wanted):
        found = f"{show_size(limit)} (ulimit -s); {show_size(wanted)} needed, else every execution is threaded"
        return warn("stack", found, "raise it: `ulimit -s 8192`, LimitSTACK=8M in systemd; or lower --stack-limit")
    return ok("stack", f"{'unlimited' if limit == resource.RLIM_INFINITY else show_size(limit)} (ulimit -s)")


def _below(limit: int, wanted: int) -> bool:
    return limit != resource.RLIM_INFINITY and limit < wanted


def _round_up(wanted: int) -> int:
    """Return a power of two, with a margin for idle connections."""
    return 1 << max(10, (2 * wanted - 1).bit_length())
