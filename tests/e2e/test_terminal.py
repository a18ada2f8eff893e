"""Tests of the output of commands in every encoding, on terminals and into pipes, in processes of their own."""

import json
import os
import pty
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.helpers.server import COMMAND, COVERAGE

OUTPUT = {"emoji": "😀", "latin": "é", "control": "\u009b31m\u007f", "order": "\u202e"}
HOSTILE = "\x1b]0;title\x07\x9b31m\u202eé😀\r…\x1b[35m"
SOURCE = f"// {HOSTILE}\r\nexport {{}}\r\n"
FUNCTION = {
    "id": "1",
    "name": "naïve\x1b[2J",
    "status": "READY",
    "language": "wat",
    "revision": 1,
    "settings": {"env": HOSTILE},
    "latest": {"revision": 2, "status": "FAILED", "compileError": HOSTILE, "createdAt": "2026-01-01T00:00:00Z"},
    "createdAt": "2026-01-01T00:00:00Z",
    "updatedAt": "2026-01-01T00:00:00Z",
    "description": HOSTILE,
    "compileError": None,
    "source": SOURCE,
}
REVISION = {"revision": 1, "live": True, **{key: FUNCTION[key] for key in ("language", "settings", "source", "status")}}
REVISION |= {"compileError": HOSTILE, "createdAt": FUNCTION["createdAt"]}
EXECUTION = {"id": "2", "status": "COMPLETED", "output": OUTPUT, "errorMessage": None, "logs": HOSTILE}
RECORD = {"id": "01a2178e-ce6a-7541-912a-f80218d8cbdb", "status": "COMPLETED", "revision": 1, "durationMs": 1.0}
RECORD |= {"errorMessage": None, "startedAt": FUNCTION["createdAt"]}
ANSWERS: dict[str, tuple[int, object]] = {
    "/functions?limit=50": (200, [FUNCTION]),
    "/functions/f": (200, FUNCTION),
    "/functions/f/revisions?limit=20": (200, [REVISION]),
    "/functions/f/revisions/1": (200, REVISION),
    "/functions/f/revisions/2": (200, REVISION | {"source": f"{SOURCE}{HOSTILE}", "settings": {}}),
    "/functions/f/executions?limit=20": (200, [RECORD]),
    "/functions/f/promote": (200, FUNCTION),
    "/functions/f/rollback": (409, {"detail": HOSTILE}),
    "/functions/f/execute": (200, EXECUTION),
    "/executions/2": (200, EXECUTION),
    "/functions/failing/execute": (200, EXECUTION | {"status": "FAILED", "errorMessage": HOSTILE}),
}
ENCODINGS = [
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "cp1252:strict"},
    {"PYTHONIOENCODING": "utf-8:strict"},
    {"LANG": "C"},
    {"LC_ALL": "POSIX"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


class Answers(BaseHTTPRequestHandler):
    """Answers with what a hostile server could send."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, value = ANSWERS.get(self.path, (404, {"detail": f"no {HOSTILE}"}))
        body = json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of a server of hostile texts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def run(url: str, *arguments: str | bytes, **variables: str) -> tuple[int, bytes, bytes]:
    """Run a command with pipes as its output."""
    environment = {"FAAS_URL": url, "PATH": "", **COVERAGE, **variables}
    done = subprocess.run([COMMAND, *arguments], env=environment, capture_output=True, timeout=60, check=False)
    assert b"Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def run_on_terminal(url: str, *arguments: str, **variables: str) -> bytes:
    """Return what a command writes to a terminal, which is its stdout and its stderr."""
    terminal, end = pty.openpty()
    environment = {"FAAS_URL": url, "PATH": "", "TERM": "xterm", "COLUMNS": "200", **COVERAGE, **variables}
    process = subprocess.Popen([COMMAND, *arguments], env=environment, stdout=end, stderr=end, stdin=end)
    os.close(end)
    shown = b""
    try:
        while block := os.read(terminal, 65536):
            shown += block
    except OSError:  # Linux reports the end of a terminal as an error
        pass
    os.close(terminal)
    process.wait(60)
    return shown


@pytest.mark.parametrize("variables", ENCODINGS, ids=str)
def test_terminal_encoding_lacks_characters_of_json(url: str, variables: dict[str, str]) -> None:
    code, out, err = run(url, "invoke", "f", **variables)
    assert (code, json.loads(out)) == (0, OUTPUT)
    assert "😀".encode() in err or b"\\U0001f600" in err
    for arguments, expected in (
        (("invoke", "f", "--json"), EXECUTION),
        (("list", "--json"), [FUNCTION]),
        (("get", "f", "--json"), FUNCTION),
    ):
        code, out, err = run(url, *arguments, **variables)
        assert (code, json.loads(out), err) == (0, expected, b"")


@pytest.mark.parametrize("variables", ENCODINGS, ids=str)
def test_terminal_encoding_lacks_characters_of_texts(url: str, variables: dict[str, str]) -> None:
    encoding = variables.get("PYTHONIOENCODING", "ascii" if "PYTHONUTF8" in variables else "utf-8").split(":")[0]
    code, out, _ = run(url, "list", **variables)
    assert code == 0
    assert "\\x1b]0;title" in out.decode(encoding)
    assert ("é" if encoding != "ascii" else "\\xe9") in out.decode(encoding)
    assert ("😀" if encoding == "utf-8" else "\\U0001f600") in out.decode(encoding)
    code, out, _ = run(url, "get", "f", **variables)
    assert (code, "description" in out.decode(encoding)) == (0, True)
    for arguments in (
        ("get", b"\xff\xf0"),
        ("deploy", __file__, "--language", "wat", "--name", b"\xff"),
        ("deploy", __file__, "--language", "wat", "--description", b"\xff"),
        ("list", "--url", b"http://\xff"),
    ):
        code, _, err = run(url, *arguments, **variables)
        assert (code, "invalid UTF-8 at byte" in err.decode(encoding)) == (2, True), (arguments, err)
    code, _, err = run(url, "get", "é", **variables)
    assert (code, "no \\x1b" in err.decode(encoding) or "no \x1b" in err.decode(encoding)) == (1, True)
    code, _, err = run(url, "deploy", b"/nowhere/\xff.wat", **variables)
    assert (code, "does not exist" in err.decode(encoding)) == (2, True)
    code, out, _ = run(url, "doctor", "--data-dir", b"/nowhere/\xff", "--port", "0", **variables)
    assert (code, "STATUS" in out.decode(encoding)) in {(0, True), (1, True), (2, False)}
    assert run(url, "get", "f", "--source", **variables)[1] == SOURCE.encode()


def test_terminal_injection_is_escaped_on_a_terminal(url: str) -> None:
    for arguments in (
        ["list"],
        ["get", "f"],
        ["invoke", "f"],
        ["invoke", "failing"],
        ["get", "f", "--source"],
        ["get", "x"],
        ["revisions", "f"],
        ["diff", "f", "1", "2"],
        ["rollback", "f"],
    ):
        for variables in ({}, {"PYTHONIOENCODING": "ascii"}):
            shown = run_on_terminal(url, *arguments, LANG="C.UTF-8", **variables)
            assert b"\\x1b]0;title\\x07\\x9b31m\\u202e" in shown, (arguments, shown)
            for sequence in (
                b"\x1b]",
                b"\x1b[2J",
                b"\x1b[35m",
                b"\x07",
                b"\x9b31m",
                "\x9b".encode(),
                "\u202e".encode(),
                b"Traceback",
            ):
                assert sequence not in shown, (arguments, shown)
    assert "naïve\\x1b[2J promoted" in run_on_terminal(url, "promote", "f", "1", LANG="C.UTF-8").decode()
    shown = run_on_terminal(url, "invoke", "f", "--json", LANG="C.UTF-8")
    assert json.loads(shown)["output"] == OUTPUT
    assert "\x9b".encode() not in shown
    assert b"\x1b]" not in run_on_terminal(url, "deploy", "/nowhere/\x1b]0;title\x07.wat")


def test_terminal_table_keeps_the_columns_on_a_narrow_terminal(url: str) -> None:
    def lines(*arguments: str, width: int) -> list[str]:
        shown = run_on_terminal(url, *arguments, LANG="C.UTF-8", COLUMNS=str(width)).decode()
        return [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in shown.splitlines()]

    for width in (30, 80, 250):
        header, _, row = lines("revisions", "f", width=width)
        assert header.split() == ["REV", "STATUS", "LIVE", "CREATED", "LANGUAGE", "SETTINGS", "ERROR"]
        assert row.split()[:3] == ["1", "READY", "live"]
        assert row.count("title") == (1 if width < 250 else 2)  # in SETTINGS, and in ERROR where it has the space
        assert row.endswith("…") == (width < 250)
    complete = ["ID", "STATUS", "REV", "STARTED", "DURATION", "ERROR"]
    for width, shown in ((80, complete[:-1]), (100, complete)):
        header, _, row = lines("executions", "f", width=width)
        assert (header.split(), len(header) <= width, row.split()[-2:]) == (shown, True, ["1.0", "ms"])


def test_terminal_texts_are_exact_in_a_pipe(url: str) -> None:
    _, out, err = run(url, "invoke", "f", LANG="C.UTF-8")
    assert out.decode() == json.dumps(OUTPUT, ensure_ascii=False) + "\n"
    assert err.decode() == HOSTILE + "\n"
    diff = run(url, "diff", "f", "1", "2", LANG="C.UTF-8")[1].decode()
    assert diff.endswith(f" // {HOSTILE}\r\n export {{}}\r\n+{HOSTILE}\n\\ No newline at end of file\n")
    assert run(url, "invoke", "failing", LANG="C.UTF-8")[2].decode() == f"{HOSTILE}\n{HOSTILE}\n"


def test_terminal_without_colour(url: str) -> None:
    assert b"\x1b[" in run_on_terminal(url, "get", "f")
    coloured = run_on_terminal(url, "diff", "f", "1", "2")
    assert b"\x1b[31m-env=" in coloured
    assert b"\x1b[32m+" in coloured
    for arguments in (["list"], ["get", "f"], ["invoke", "failing"], ["get", "x"], ["diff", "f", "1", "2"]):
        shown = run_on_terminal(url, *arguments, NO_COLOR="1")
        assert b"\x1b[3" not in shown.replace(b"\x1b[39m", b""), shown


def test_terminal_output_that_cannot_be_written(url: str) -> None:
    command = f'exec "{COMMAND}" invoke f'
    for redirect, code, message in (
        (">/dev/full", 1, b"faas: cannot write to standard output: No space left on device\n"),
        (">&-", 0, b""),
        (">&- 2>&-", 0, b""),
    ):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{command} {redirect}"],
            env={"FAAS_URL": url, **COVERAGE},
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert message in done.stderr
        assert b"Traceback" not in done.stderr
        assert b"Exception ignored" not in done.stderr
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [COMMAND, "list", "--json"], env={"FAAS_URL": url, **COVERAGE}, stdout=writing, stderr=-1, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
