"""The sandbox of compilers: only their own files are accessible. Each layer is tried without the one above it."""

import asyncio
import json
import os
import platform
import sys
import sysconfig
from pathlib import Path

import pytest

from faas.compile.languages.assemblyscript import TOOLCHAIN, node_sandbox
from faas.runtime import SealedCode
from faas.sandbox import Sandbox
from faas.sandbox import sandbox as sandbox_module

ATTEMPTS = {
    "read /etc/passwd": "fs.readFileSync('/etc/passwd', 'utf8')",
    "list /": "fs.readdirSync('/').join()",
    "read /proc": "fs.readFileSync('/proc/self/environ', 'utf8')",
    "read the parent's environment": "fs.readFileSync(`/proc/${process.ppid}/environ`, 'utf8')",
    "write": "fs.writeFileSync('/tmp/faas-escaped', 'x')",
    "write into the toolchain": f"fs.writeFileSync('{TOOLCHAIN}/escaped', 'x')",
    "run a program": "require('child_process').execFileSync('/bin/sh', ['-c', 'echo hi'])",
    "start a worker": "new (require('worker_threads').Worker)('1', { eval: true })",
    "kill the parent": "process.kill(process.ppid, 0)",
    "load a native addon": "process.dlopen({ exports: {} }, '/lib/x86_64-linux-gnu/libm.so.6')",
}
PROBE = """
const fs = require('fs'), net = require('net');
const results = {};
const attempts = { %s };
for (const [name, attempt] of Object.entries(attempts)) {
  try { results[name] = 'ESCAPED ' + attempt(); } catch (error) { results[name] = error.code || error.message; }
}
results.environment = Object.keys(process.env);
const socket = net.connect(+process.argv[1] || 1, '127.0.0.1');
socket.on('connect', () => { results.connect = 'ESCAPED'; done(); });
socket.on('error', (error) => { results.connect = error.code; done(); });
function done() { console.log(JSON.stringify(results)); process.exit(0); }
"""


async def probe(sandbox: Sandbox) -> dict[str, object]:
    os.environ["FAAS_TEST_SECRET"] = "secret"
    try:
        process = await sandbox.start()
        out, err = await process.communicate()
    finally:
        del os.environ["FAAS_TEST_SECRET"]
    assert process.returncode == 0, err.decode()
    results: dict[str, object] = json.loads(out)
    return results


async def listening() -> tuple[asyncio.Server, int, list[object]]:
    connections: list[object] = []
    server = await asyncio.start_server(lambda *peer: connections.append(peer), "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1], connections


async def test_sandbox_of_the_compiler_has_no_file_network_or_environment() -> None:
    server, port, connections = await listening()
    attempts = ", ".join(f"{json.dumps(name)}: () => {code}" for name, code in ATTEMPTS.items())
    results = await probe(node_sandbox("Node", ["--eval", PROBE % attempts, str(port)], memory=2 << 30))
    assert results.pop("environment") == []
    assert results.pop("connect") in {"EPERM", "EACCES", "ERR_ACCESS_DENIED"}
    assert {name for name, result in results.items() if str(result).startswith("ESCAPED")} == set()
    assert set(results) == set(ATTEMPTS)
    assert connections == []
    server.close()
    await server.wait_closed()


async def test_sandbox_of_the_compiler_permits_its_own_files() -> None:
    """Without this the test above would pass for a sandbox that permits nothing at all."""
    attempts = f"'own': () => fs.readFileSync('{TOOLCHAIN}/package.json', 'utf8').length > 10"
    results = await probe(node_sandbox("Node", ["--eval", PROBE % attempts, "1"], memory=2 << 30))
    assert results["own"] == "ESCAPED true"


PYTHON_PROBE = """
import ctypes, json, os, resource, socket, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    if libc.syscall(*arguments) != 0:
        raise OSError(ctypes.get_errno(), "refused")
def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
def attempt(work):
    try:
        return f"ESCAPED {work()!r}"
    except BaseException as error:
        return type(error).__name__
def thread():
    import threading
    done = []
    one = threading.Thread(target=lambda: done.append(1)); one.start(); one.join()
    return done
results = {
    "passwd": attempt(lambda: open("/etc/passwd").read()),
    "list": attempt(lambda: os.listdir("/")),
    "write": attempt(lambda: open("/tmp/faas-escaped", "w").write("x")),
    "fork": attempt(os.fork),
    "exec": attempt(lambda: os.execve("/bin/sh", ["sh"], {})),
    "tcp": attempt(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[1])))),
    "udp": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
    "unix": attempt(lambda: socket.socket(socket.AF_UNIX)),
    "kill": attempt(lambda: os.kill(os.getppid(), 0)),
    "tgkill": attempt(lambda: call(234, os.getppid(), os.getppid(), 0)),
    "sigqueue": attempt(lambda: call(129, os.getppid(), 0, ctypes.create_string_buffer(128))),
    "prlimit": attempt(lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)),
    "nice of others": attempt(lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)),
    "open descriptors": [number for number in range(3, 1000) if is_open(number)],
    "own abort": attempt(lambda: call(234, os.getpid(), threading.get_native_id(), 0)),
    "memory": attempt(lambda: len(bytearray(1 << 30))),
    "root": os.geteuid(),
    "environment": dict(os.environ),
    "thread": attempt(thread),
}
print(json.dumps(results), flush=True)
os._exit(0)
"""


async def test_sandbox_kernel_layers_without_the_permission_model() -> None:
    """The same for a program without a permission model: Landlock, seccomp, rlimits and the user remain."""
    server, port, connections = await listening()
    libraries = [Path(sysconfig.get_paths()["stdlib"]), Path(sys.base_prefix)]
    sandbox = Sandbox(
        name="probing",
        command=[sys.executable, "-I", "-S", "-c", PYTHON_PROBE, str(port)],
        readable=libraries,
        memory=512 << 20,
    )
    results = await probe(sandbox)
    server.close()
    await server.wait_closed()
    assert connections == []
    assert results.pop("environment") in ({}, {"LC_CTYPE": "C.UTF-8"})
    root = results.pop("root")
    assert root != 0 or os.geteuid() == 0
    assert str(results.pop("thread")).startswith("ESCAPED")  # threads are allowed
    assert str(results.pop("own abort")).startswith("ESCAPED")  # abort() needs it
    assert results.pop("memory") == "MemoryError"
    assert results.pop("open descriptors") == []
    escaped = {name for name, result in results.items() if str(result).startswith("ESCAPED")}
    if not _has_landlock():
        escaped -= {"passwd", "list", "exec"}  # then only Node's permission model refuses these
    assert escaped == set()


INHERITED_PROBE = """
import errno, json, os, sys
number = int(sys.argv[1])
def attempt(work):
    try:
        return f"ESCAPED: {work()}"
    except OSError as error:
        return errno.errorcode[error.errno]
with open(f"/proc/self/fd/{number}", "rb") as file:
    content = file.read().decode()
results = {
    "content": content,
    "open descriptors": [other for other in range(3, 1000) if os.path.exists(f"/proc/self/fd/{other}")],
    "write": attempt(lambda: os.pwrite(number, b"x", 0)),
    "write again": attempt(lambda: os.pwrite(os.open(f"/proc/self/fd/{number}", os.O_RDWR), b"x", 0)),
    "shorten": attempt(lambda: os.ftruncate(number, 1)),
}
print(json.dumps(results), flush=True)
os._exit(0)
"""


async def test_sandbox_process_inherits_one_descriptor_and_can_only_read_it() -> None:
    sealed = SealedCode.of(b"native code")
    other = os.open("/dev/null", os.O_RDWR)
    os.set_inheritable(other, True)
    sandbox = Sandbox(
        name="probing",
        command=[sys.executable, "-I", "-S", "-c", INHERITED_PROBE, str(sealed.descriptor)],
        readable=[Path(sysconfig.get_paths()["stdlib"]), Path(sys.base_prefix)],
        memory=512 << 20,
        memory_files=True,  # otherwise the limit of file sizes refuses to write already
        descriptor=sealed.descriptor,
    )
    results = await probe(sandbox)
    assert results["content"] == "native code"
    assert results["open descriptors"] == [sealed.descriptor]
    assert results["write"] == results["write again"] == results["shorten"] == "EPERM"
    os.close(other)
    sealed.close()


async def test_sandbox_process_has_a_lower_priority_than_the_server() -> None:
    sandbox = Sandbox(
        name="waiting",
        command=[sys.executable, "-I", "-S", "-c", "print(flush=True); input()"],
        readable=[Path(sysconfig.get_paths()["stdlib"]), Path(sys.base_prefix)],
        memory=512 << 20,
    )
    process = await sandbox.start()
    assert process.stdout
    await process.stdout.readline()
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)
    group = Path(f"/proc/{process.pid}/autogroup")
    if group.exists() and "nice" in group.read_text():  # the kernel schedules each session as a group
        assert group.read_text().endswith(" nice 2\n")
    await process.communicate(b"\n")


def _has_landlock() -> bool:
    import ctypes

    return int(ctypes.CDLL(None).syscall(444, None, 0, 1)) >= 1


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the probe's system call numbers")
async def test_sandbox_seccomp_without_landlock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On an older kernel only seccomp refuses signals to other processes and changes of their limits."""
    confine = (Path(sandbox_module.CONFINE_SCRIPT).read_text()).replace(
        "abi = _libc.syscall(", "abi = 0 and _libc.syscall("
    )
    unlocked = tmp_path / "confine.py"
    unlocked.write_text(confine)
    monkeypatch.setattr(sandbox_module, "CONFINE_SCRIPT", unlocked)
    code = PYTHON_PROBE.replace('os.execve("/bin/sh", ["sh"], {})', "1 / 0")  # only Landlock refuses it
    code = code.replace(
        "/tmp/faas-escaped", str(tmp_path / "escaped")
    )  # only Landlock refuses it; rlimits keep the file empty
    sandbox = Sandbox(
        name="probing", command=[sys.executable, "-I", "-S", "-c", code, "1"], readable=[], memory=512 << 20
    )
    results = await probe(sandbox)
    for name in ("fork", "tcp", "udp", "unix", "kill", "tgkill", "sigqueue", "prlimit", "nice of others"):
        assert not str(results[name]).startswith("ESCAPED"), (name, results[name])
    assert str(results["passwd"]).startswith("ESCAPED")  # proves that Landlock was off


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")
async def test_sandbox_drops_the_capabilities_of_root() -> None:
    code = "fs.readFileSync('/proc/self/status', 'utf8')"
    sandbox = node_sandbox("Node", ["--eval", PROBE % f"'status': () => {code}", "1"], memory=2 << 30)
    sandbox.command.insert(2, "--allow-fs-read=/proc")
    sandbox.readable.append(Path("/proc"))
    status = str((await probe(sandbox))["status"])
    assert "CapEff:\t0000000000000000" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
