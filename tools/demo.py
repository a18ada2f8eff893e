"""Record the demo of the README: run the commands of a real session and write docs/images/demo.svg (`make demo`).

A server with an embedded Postgres starts on a free port, with a temporary data directory. Each command runs in a
pseudo-terminal; its output and its duration are as recorded, the pauses between commands are not. The SVG shows the
commands one after the other by CSS animation, all of them where animations are off, and loads nothing.

This is for checkouts: it needs `make setup`, and Linux for the server.
"""

import fcntl
import os
import pty
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import httpx
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "images" / "demo.svg"
FAAS = Path(sys.executable).parent / "faas"
COLUMNS, ROWS = 88, 40
READING_SECONDS = 1.4  # pause after each command's output
TYPING_SECONDS = 0.5  # between the command and its output, besides the command's own duration
START_TIMEOUT_SECONDS = 60.0
BROKEN = "export function handle(input: { n: number }) { return input.n +; }\n"
COMMANDS = (
    "faas deploy hello.ts",
    """faas invoke hello --input '{"name": "you"}'""",
    "sed -i s/Hello/Welcome/ hello.ts",
    "faas deploy hello.ts",
    "faas deploy broken.ts --name hello",
    "faas rollback hello",
    "faas revisions hello",
)
_ID = "demo"


class Line(NamedTuple):
    """A line of the terminal, and when it appears in seconds after the beginning."""

    text: Text
    at: float


def record() -> list[Line]:
    """Run `COMMANDS` against a new server and return the lines of the terminal. Raises RuntimeError, OSError."""
    with tempfile.TemporaryDirectory(prefix="faas-demo-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # root's Postgres runs as another user
        shutil.copy(ROOT / "examples" / "hello.ts", folder)
        (folder / "broken.ts").write_text(BROKEN)
        with _serving(folder / "data") as url:
            environment = {
                "FAAS_URL": url, "HOME": name, "LANG": "C.UTF-8", "PATH": f"{FAAS.parent}:/usr/bin:/bin",
                "TERM": "xterm-256color", "COLORTERM": "truecolor",
            }  # fmt: skip
            return list(_run_commands(folder, environment))


def _run_commands(folder: Path, environment: dict[str, str]) -> Iterator[Line]:
    now = 0.3
    for command in COMMANDS:
        yield Line(Text.assemble(("$ ", "bold green"), (command, "bold")), now)
        began = time.monotonic()
        output = _run_in_terminal(shlex.split(command), folder, environment)
        now += TYPING_SECONDS + time.monotonic() - began
        for line in output.rstrip().splitlines():
            yield Line(Text.from_ansi(line), now)
        yield Line(Text(), now)
        now += READING_SECONDS


@contextmanager
def _serving(data_dir: Path) -> Iterator[str]:
    """Run a server for the duration of the block and yield its address once its compilers have started."""
    command = [str(FAAS), "serve", "--port", "0", "--data-dir", str(data_dir), "--log-format", "json"]
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + START_TIMEOUT_SECONDS
            while not (found := re.search(r"serves (http://\S+)", os.pread(log.fileno(), 1 << 20, 0).decode())):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the server did not start:\n" + os.pread(log.fileno(), 1 << 20, 0).decode())
                time.sleep(0.05)
            while httpx.get(f"{found[1]}/health").json()["toolchains"]["typescript"] != "UP":
                if time.monotonic() > deadline:
                    raise RuntimeError("a compiler did not start")
                time.sleep(0.05)
            yield found[1]
        finally:
            server.terminate()
            server.wait(60)


def _run_in_terminal(command: Sequence[str], folder: Path, environment: dict[str, str]) -> str:
    """Run a command in a pseudo-terminal and return what it printed, with escape sequences."""
    reader, terminal = pty.openpty()
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=terminal, stderr=terminal)
        os.close(terminal)
        output = b""
        while piece := _read(reader):
            output += piece
        process.wait()
    finally:
        os.close(reader)
    return output.decode().replace("\r\n", "\n")


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 1 << 16)
    except OSError:  # Linux reports EIO once the other end is closed
        return b""


def render(lines: Sequence[Line]) -> str:
    """Return the SVG of a terminal in which `lines` appear at their times."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(line.text, no_wrap=True, overflow="crop", crop=True)
    # Without the web fonts of rich's template: the picture must not load anything.
    template = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("{styles}", _ANIMATION + "{styles}")
    picture = console.export_svg(title="faas", theme=MONOKAI, code_format=template, unique_id=_ID)
    return re.sub(
        rf'clip-path="url\(#{_ID}-line-(\d+)\)"',
        lambda match: f'{match[0]} style="animation-delay:{lines[int(match[1])].at:.1f}s"',
        picture,
    )


# Braces are doubled: the template is formatted by rich.
_ANIMATION = f"""@keyframes {_ID}-appear {{{{ from {{{{ opacity: 0 }}}} to {{{{ opacity: 1 }}}} }}}}
    @media screen and (prefers-reduced-motion: no-preference) {{{{
        .{_ID}-matrix text {{{{ animation: {_ID}-appear 1ms both }}}}
    }}}}
    """


def main() -> int:
    """Record the demo, write it and return the exit code."""
    picture = render(record())
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(picture)
    sys.stdout.write(f"{TARGET.relative_to(ROOT)}: {len(picture) // 1000} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
