"""A script that irrevocably confines its process and then executes another program.

It imports few modules of the standard library: json, platform and signal would make its start half as long again.

Layers, each used where the kernel supports it; the first line on stderr lists the active ones:
  rlimits      memory, no core dumps, no file may be written (files in memory may, where the plan permits it); no
               descriptor except stdin, stdout, stderr and the one that the plan names
  parent       the kernel kills the process when the server dies
  privileges   root becomes a user of its own where it can; no capability can be regained
  landlock     no file except the program's own and the system's libraries (Linux 5.13+)
  seccomp      no sockets, no other processes, no signals to any, no tracing, no mounts (any Linux with seccomp filters)
"""

import ctypes
import marshal
import os
import resource
import struct
import sys
import time

_libc = ctypes.CDLL(None, use_errno=True)

_SIGKILL = 9
_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_LAST_CAPABILITY = 63
# User ids in order of preference. 65534 is `nobody`, as which the Postgres of root runs.
_USER_IDS = (65533, 65534)
_NICENESS = 5  # executions have priority
_GROUP_NICENESS = 2  # against the server and Postgres, which are one group; with 5 they can starve this one

# -- landlock: include/uapi/linux/landlock.h ---------------------------------------------------------------------------

_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | (1 << 14) | (1 << 15)  # and truncate, ioctl_dev
_HANDLED_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_NETWORK = 0b11  # bind and connect TCP, from ABI 4
_SCOPED = 0b11  # abstract unix sockets and signals, from ABI 6


def restrict_files(read: list[str], execute: list[str], devices: list[str]) -> str:
    """Restrict file access to these paths with Landlock; return the name of the active layer."""
    abi = _libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, 1)
    if abi < 1:
        return "no-landlock"
    handled = _HANDLED_BY_ABI[min(abi, 5)]
    attributes = struct.pack("<QQQ", handled, _NETWORK if abi >= 4 else 0, _SCOPED if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = _libc.syscall(_LANDLOCK_CREATE_RULESET, ctypes.create_string_buffer(attributes, size), size, 0)
    rules = [(path, _READ_FILE | _READ_DIR) for path in read]
    rules += [(path, _READ_FILE | _READ_DIR | _EXECUTE) for path in execute]
    rules += [(path, _READ_FILE | _WRITE_FILE) for path in devices]
    for path, rights in rules:
        if not os.path.exists(path):  # noqa: PTH110 - pathlib costs 10 ms of start-up here
            continue
        allowed = rights & handled
        if not os.path.isdir(path):  # noqa: PTH112
            allowed &= _FILE_RIGHTS
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("<Qi", allowed, descriptor)
        _check(_libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0), f"landlock rule for {path}")
        os.close(descriptor)
    _check(_libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock")
    os.close(ruleset)
    return f"landlock-{abi}"


# -- seccomp: a classic BPF program over struct seccomp_data -----------------------------------------------------------

_REFUSED_SYSCALLS = {
    # name: (number on x86_64, number on aarch64)
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242), "socketpair": (53, 199), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "kill": (62, 129), "tkill": (200, 130), "pidfd_open": (434, 434),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "setpriority": (141, 140),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "migrate_pages": (256, 238),
    "move_pages": (279, 239), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "mount": (165, 40), "umount2": (166, 39),
    "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51), "pivot_root": (155, 41), "bpf": (321, 280),
    "perf_event_open": (298, 241), "io_uring_setup": (425, 425), "userfaultfd": (323, 282), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "open_by_handle_at": (304, 265), "init_module": (175, 105),
    "finit_module": (313, 273), "kexec_load": (246, 104), "reboot": (169, 142), "memfd_create": (319, 279),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "mq_open": (240, 180), "execveat": (322, 281),
    "fsopen": (430, 430), "open_tree": (428, 428), "move_mount": (429, 429), "setrlimit": (160, 164),
    "fork": (57, None), "vfork": (58, None),
}  # fmt: skip
_CLONE, _CLONE3 = (56, 220), (435, 435)
_TGKILL, _PRLIMIT = (234, 131), (302, 261)  # only to itself: abort() and libc's thread stacks need them
_CLONE_THREAD = 0x10000
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38


def refuse_syscalls(allowed: set[str]) -> str:
    """Install the seccomp filter without the system calls `allowed`; return the name of the active layer."""
    column, audit = _ARCHITECTURES.get(os.uname().machine, (None, None))
    if column is None or audit is None:
        return "no-seccomp"
    program = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    if column == 0:  # the numbers of the x32 ABI would bypass the list
        program += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    for name, numbers in _REFUSED_SYSCALLS.items():
        if name not in allowed and (number := numbers[column]) is not None:
            program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    for number, own in ((_TGKILL[column], os.getpid()), (_PRLIMIT[column], 0)):
        program += [(_EQUAL, 0, 4, number), (_LOAD, 0, 0, 16), (_EQUAL, 1, 0, own)]
        program += [(_RETURN, 0, 0, _ERRNO | _EPERM), (_RETURN, 0, 0, _ALLOW)]
    # Threads are allowed, processes are not. A filter cannot read clone3's flags, which are in memory; refused with
    # ENOSYS, libc falls back to clone.
    program += [(_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    program += [(_EQUAL, 0, 3, _CLONE[column]), (_LOAD, 0, 0, 16), (_ANY_BIT, 1, 0, _CLONE_THREAD)]
    program += [(_RETURN, 0, 0, _ERRNO | _EPERM), (_RETURN, 0, 0, _ALLOW)]
    code = b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
    instructions = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(instructions)))
    if _libc.prctl(_PR_SET_SECCOMP, 2, header, 0, 0):
        return "no-seccomp"
    return "seccomp"


# -- priority ----------------------------------------------------------------------------------------------------------


def lower_priority() -> None:
    """Let executions have priority.

    Where the kernel schedules each session as a group (autogroup, sched(7)), the niceness of a process counts only
    among the processes of its session, and this one has a session of its own. Then the niceness of the group counts.
    """
    os.nice(_NICENESS)
    if os.getsid(0) != os.getpid():
        return  # the group has other processes
    for _ in range(3):
        try:
            with open("/proc/self/autogroup", "w") as group:  # noqa: PTH123 - pathlib takes long to import
                group.write(str(_GROUP_NICENESS))
        except BlockingIOError:  # without privileges, the kernel permits one change in 0.1 s
            time.sleep(0.1)
        except OSError:  # no such groups
            return
        else:
            return


# -- privileges and start ----------------------------------------------------------------------------------------------


def drop_privileges(program: str, readable: list[str]) -> str:
    """Change root to another user that can run `program` and read its files; drop all capabilities in any case.

    Return the name of the active layer.
    """
    if os.geteuid() != 0:
        return "user"
    for capability in range(_LAST_CAPABILITY + 1):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    for user in _USER_IDS:
        try:
            os.setegid(user)
            os.seteuid(user)
            reachable = os.access(program, os.X_OK, effective_ids=True) and all(
                os.access(path, os.R_OK, effective_ids=True) for path in readable
            )
        except OSError:  # a user namespace in which this user does not exist
            reachable = False
        finally:
            os.seteuid(0)
            os.setegid(0)
        if reachable:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            return f"user-{user}"
    return "root-without-capabilities"


def _check(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def main() -> None:
    """Confine the process and execute the command of the plan in argv[1]."""
    parent = os.getppid()
    plan = marshal.loads(bytes.fromhex(sys.argv[1]))  # noqa: S302 - written by the server
    files = plan["memory"] if plan["memory_files"] else 0
    limits = {resource.RLIMIT_DATA: plan["memory"], resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: files}
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))
    kept = plan["descriptor"] or 2
    os.closerange(3, kept)  # descriptors of the server without O_CLOEXEC
    os.closerange(kept + 1, 65536)
    lower_priority()
    layers = ["rlimits", drop_privileges(plan["command"][0], plan["read"])]
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    # After the change of user, which would clear it.
    _check(_libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "parent-death signal")
    if os.getppid() != parent:
        sys.exit(1)  # the server died before the line above
    layers.append(restrict_files(plan["read"], plan["execute"], plan["devices"]))
    layers.append(refuse_syscalls({"memfd_create"} if plan["memory_files"] else set()))
    print(" ".join(layers), file=sys.stderr, flush=True)  # noqa: T201
    os.execve(plan["command"][0], plan["command"], {})  # noqa: S606


if __name__ == "__main__":
    main()
