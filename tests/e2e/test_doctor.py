"""`faas doctor` as an operator runs it: beside a server and alone, on a terminal, in a pipe and for programs."""

import asyncio
import json
import os
import pty
import re
import struct
import termios
import time
from fcntl import ioctl
from pathlib import Path

import pytest

from faas.doctor import GROUPS
from tests.helpers.server import COMMAND, start_server
from tests.helpers.support import free_port

PASSWORD = "s3cret"


async def doctor(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Run it; the exit code and what it wrote to stdout and stderr. It must not hang."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        "doctor",
        *arguments,
        env={"PATH": "", "HOME": "/nonexistent", "LANG": "C.UTF-8", **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def read_findings(out: str) -> dict[str, dict[str, str]]:
    report = json.loads(out)
    assert set(report) == {"status", "version", "findings"}
    return {finding["check"]: finding for finding in report["findings"]}


async def test_doctor_beside_a_server_and_after_it(data_dir: Path) -> None:
    port = str(free_port())
    options = ("--data-dir", str(data_dir), "--port", port, "--languages", "wat,wasm")
    server = await start_server(*options)
    code, out, err = await doctor(*options, "--json")
    assert (code, err) == (0, "")
    found = read_findings(out)
    assert f"serves 127.0.0.1:{port}: UP" in found["port"]["finding"]
    assert "embedded, running in" in found["postgres"]["finding"]
    assert found["migrations"]["status"] == "OK"
    assert {finding["status"] for finding in found.values()} <= {"OK", "WARN"}
    assert set(found) == {check for group in GROUPS for check in group.checks} - {
        "certificate",
        "unpacked-bundle",
        "secrets",
    }
    before = sorted((path.name, path.stat().st_mtime_ns) for path in data_dir.iterdir())
    assert await server.stop() == 0
    code, out, _ = await doctor(*options, "--json")
    assert code == 0
    found = read_findings(out)
    assert f"127.0.0.1:{port} is free" in found["port"]["finding"]
    assert "embedded, not running" in found["postgres"]["finding"]
    assert "encoding" not in found
    assert [name for name, _ in before] == sorted(path.name for path in data_dir.iterdir())


async def test_doctor_failure_is_exit_code_1_without_the_password() -> None:
    url = f"postgresql://app:{PASSWORD}@127.0.0.1:{free_port()}/faas"
    began = time.monotonic()
    code, out, err = await doctor("--port", "0", environment={"FAAS_DATABASE_URL": url})
    assert time.monotonic() - began < 15  # 5 s on a machine with nothing else to do
    assert (code, err) == (1, "")
    lines = out.splitlines()
    (line,) = [line for line in lines if line.startswith("FAIL")]
    assert "cannot connect to app@127.0.0.1:" in line
    assert "→ correct host and port in FAAS_DATABASE_URL" in lines[lines.index(line) + 1]
    assert lines[-1].endswith("1 FAIL")
    assert PASSWORD not in out


@pytest.mark.parametrize("arguments", [("--port", "x"), ("--nonsense",), ("--max-in-flight", "0"), ("argument",)])
async def test_doctor_wrong_flag_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    code, out, err = await doctor(*arguments)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert err


async def test_doctor_wrong_setting_is_exit_code_2() -> None:
    code, out, err = await doctor(environment={"FAAS_TIME_LIMIT": "soon"})
    assert (code, out) == (2, "")
    assert "FAAS_TIME_LIMIT='soon'" in err


def test_doctor_on_a_terminal_of_80_columns_cuts_nothing_off(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        url = f"postgresql://app:{PASSWORD}@127.0.0.1:1/faas"
        environment = {"TERM": "xterm", "HOME": str(tmp_path), "LANG": "C.UTF-8", "FAAS_DATABASE_URL": url}
        ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
        os.execve(COMMAND, [COMMAND, "doctor", "--port", "0", "--data-dir", str(tmp_path)], environment)  # noqa: S606
    content = b""
    try:
        while chunk := os.read(terminal, 1 << 16):
            content += chunk
    except OSError:  # how a terminal whose program has ended says so
        pass
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    assert b"\x1b[31mFAIL" in content
    plain = [line.rstrip() for line in _without_colours(content.decode()).splitlines()]
    assert max(map(len, plain)) <= 80
    assert PASSWORD not in content.decode()
    words = " ".join(" ".join(plain).split())
    assert "see whether Postgres runs, and listens on that address" in words


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)
