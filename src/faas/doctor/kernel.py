"""Checks of the kernel: which layers of the sandbox hold here, determined by starting two confined processes.

The layers are used where the kernel has them; one that is missing is a warning.
"""

import errno
import os
import platform
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from faas.compile.languages.assemblyscript import node_sandbox
from faas.doctor.finding import Finding, fail, ok, warn
from faas.doctor.parts import BROKEN, why
from faas.errors import ConfigurationError
from faas.sandbox import Sandbox
from faas.settings import Settings

MACHINES = ("x86_64", "aarch64")
_TIMEOUT_SECONDS = 3.5
_CLONE_NEWUSER = 0x10000000
# The minimum Landlock ABI for each restriction; below it, only seccomp enforces it.
_LANDLOCK_ADDS = ((1, "files"), (4, "TCP"), (6, "signals"))
_UNSHARE = "import ctypes, sys; c = ctypes.CDLL(None, use_errno=True); sys.exit(c.unshare({}) and ctypes.get_errno())"


def check(settings: Settings) -> Iterator[Finding]:
    """Check the platform, then what confined processes say of themselves."""
    yield check_platform()
    sandboxes = {"Python": _python_sandbox(settings)}
    with suppress(ConfigurationError):  # Node is missing, which the installation's check says
        sandboxes["Node"] = node_sandbox("Node", ["--version"], memory=settings.compile_memory)
    layers = []
    for program, sandbox in sandboxes.items():
        try:
            layers.append(_confine(sandbox))
        except BROKEN as error:
            action = "raise --compile-memory if it is low; in a container, allow the system calls of the sandbox"
            yield fail("sandbox", f"{program} does not start in a confined process: {why(error)}", action)
    if len(layers) == len(sandboxes):
        yield ok("sandbox", f"confined processes start: {', '.join(sandboxes)}")
    yield from judge_layers(layers)
    yield _check_user_namespaces()


def check_platform(system: str = sys.platform, machine: str = platform.machine()) -> Finding:
    """Check the operating system and the processor's architecture."""
    found = f"{platform.system()} {platform.release()}, {machine}"
    if system != "linux":
        return fail("platform", f"{found}; faas runs on Linux only", "run faas on Linux, or in a Linux container")
    if machine not in MACHINES:
        return warn("platform", f"{found}; faas is made for {' and '.join(MACHINES)}", "expect no seccomp and no Wizer")
    return ok("platform", found)


def judge_layers(layers: list[str]) -> Iterator[Finding]:
    """Judge the first lines of confined processes, such as `rlimits user-65533 landlock-7 seccomp`."""
    if not layers:
        return
    words = set(" ".join(layers).split())
    abis = [int(word.removeprefix("landlock-")) for word in words if word.startswith("landlock-")]
    if "no-landlock" in words or not abis:
        yield warn(
            "landlock",
            "not there: compilers can read files that their user may read",
            "use Linux 5.13 or newer with landlock in /sys/kernel/security/lsm, and a container that allows it",
        )
    else:
        holds = [what for oldest, what in _LANDLOCK_ADDS if min(abis) >= oldest]
        yield ok("landlock", f"ABI {min(abis)}, confines {', '.join(holds)}")
    if "no-seccomp" in words or "seccomp" not in words:
        yield warn(
            "seccomp",
            "not there: compilers can open sockets and start programs",
            "use a kernel with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64",
        )
    else:
        yield ok("seccomp", "system calls of compilers are filtered")
    yield _judge_privileges(words)


def _judge_privileges(words: set[str]) -> Finding:
    if "root-without-capabilities" in words:
        return warn(
            "privileges",
            "a confined process stays root, without capabilities: no other user can read its program",
            "install faas where every user may read it (not below /root), or run it as an ordinary user",
        )
    if "user" in words:
        return ok("privileges", f"confined processes run as this user (uid {os.geteuid()}), without capabilities")
    users = sorted(word.removeprefix("user-") for word in words if word.startswith("user-"))
    return ok("privileges", f"confined processes run as uid {', '.join(users)}, without capabilities")


def _python_sandbox(settings: Settings) -> Sandbox:
    """What precompiles modules needs: the interpreter, its library and the packages."""
    spec = find_spec("wasmtime")
    packages = [Path(spec.origin).parent.parent] if spec and spec.origin else []
    libraries = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    return Sandbox(
        name="sandbox check",
        command=[sys.executable, "-I", "-S", "-c", ""],
        readable=[*packages, Path(sys.base_prefix, "lib"), *libraries],
        memory=settings.compile_memory,
    )


def _confine(sandbox: Sandbox) -> str:
    """Run `sandbox` to its end; return the line in which it says how it is confined."""
    result = subprocess.run(
        sandbox.launch_command(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=_TIMEOUT_SECONDS,
        env={},
        cwd="/",
    )
    return result.stderr.split("\n", 1)[0]


def _check_user_namespaces() -> Finding:
    """Return whether user namespaces are available. Informational: no layer uses user namespaces."""
    code = _UNSHARE.format(_CLONE_NEWUSER)
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, check=False, timeout=_TIMEOUT_SECONDS, env={}
    )
    if result.returncode == 0:
        return ok("user-namespaces", "available; the sandbox does not use them")
    name = errno.errorcode.get(result.returncode, str(result.returncode))
    return ok("user-namespaces", f"not available ({name}); the sandbox does not need them")
