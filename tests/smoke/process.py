"""A running faas process: its output, its URL, its exit."""

import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
START_TIMES: list[str] = []  # lines that the run prints at its end
TIMEOUT_SECONDS = 120  # for steps that take a few seconds


class Faas:
    """A `faas serve` or `faas mock-foundry` that has said where it serves, on one stream.

    Use it as a context: it ends with SIGTERM, and must end well.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said: list[str] = []
        self.url = ""

    def __enter__(self) -> Self:
        assert self.process.stdout
        deadline = time.monotonic() + TIMEOUT_SECONDS
        for line in self.process.stdout:
            self.said.append(line)
            if found := re.search(r"(?:serves|mock Foundry on) (http://[\w.:]+)", line):
                self.url = found[1]
                return self
            assert time.monotonic() < deadline, self.said
        raise AssertionError("it ended:\n" + "".join(self.said))

    def __exit__(self, *exception: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            rest, _ = self.process.communicate(timeout=TIMEOUT_SECONDS)
        finally:
            self.process.kill()
        assert exception[0] or self.process.returncode == 0, "".join(self.said) + rest


def finish(process: "subprocess.Popen[str]", code: int = 0) -> tuple[str, str]:
    """Wait for its end, which must have this exit code; what it said on stdout and on stderr."""
    try:
        out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        process.kill()
    assert process.returncode == code, f"exit code {process.returncode}, not {code}:\n{out}{err}"
    return out, err
