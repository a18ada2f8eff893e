"""The end of `faas doctor` when a check hangs in a thread that the interpreter would wait for."""

import subprocess
import sys
import time

PROGRAM = """
import sys, time, types
from concurrent.futures import ThreadPoolExecutor
from faas.cli import main
from faas.doctor import Group, diagnosis

def check(settings):
    ThreadPoolExecutor().submit(time.sleep, 120).result()  # as asyncio asks a name server
    yield

module = types.ModuleType("faas.doctor.hanging")
module.check = check
sys.modules[module.__name__] = module
diagnosis.TIMEOUT_SECONDS = 0.3
diagnosis.diagnose.__defaults__ = ((Group("hanging", ("port",)),),)
sys.argv = ["faas", "doctor"]
main()
"""


def test_command_ends_although_a_check_hangs() -> None:
    began = time.monotonic()
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60)
    assert time.monotonic() - began < 30
    assert result.returncode == 1
    assert "no result within 0.3 s" in result.stdout
    assert result.stdout.endswith("1 FAIL\n")
    assert result.stderr == ""
