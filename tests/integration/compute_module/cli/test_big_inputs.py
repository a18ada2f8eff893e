"""Runs of 200,000 rows: bounded memory, one output row for each input row, in its order."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROWS = 200_000
IN, OUT = "ri.foundry.main.dataset.in", "ri.foundry.main.dataset.out"
FAAS = [sys.executable, "-m", "faas"]
# The program takes 35 MiB, the addresses of this table with their offsets 30 MiB.
PEAK_LIMIT_KIB = 100 * 1024


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inputs") / f"{IN}.csv"
    with path.open("w") as file:
        file.write("id,email,note\n")
        for number in range(ROWS):
            file.write(f'{number},first.last{number}@company{number % 977}.example,"some text, {number}"\n')
    return path


# A new process inherits the peak of the one that forked it, and pytest is large: a small process is in between.
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak(command: list[str], environ: dict[str, str]) -> int:
    """Run a command and return its peak resident memory in KiB."""
    measured = [sys.executable, "-c", MEASURE, *FAAS, "pipeline", *command]
    return int(subprocess.run(measured, env=environ, stdout=subprocess.PIPE, check=True).stdout)


def check(path: Path) -> None:
    with path.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            assert row["email"] == f"first.last{number}@company{number % 977}.example"
            assert row["status"] == "ok"
    assert number == ROWS - 1


def test_pipeline_local_memory_is_bounded_for_200000_rows(table: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    command = ["local", "--input", str(table), "--output", str(output), "--enricher", "static"]
    assert peak(command, {"PATH": os.environ["PATH"]}) < PEAK_LIMIT_KIB
    check(output)


def test_pipeline_foundry_memory_is_bounded_for_200000_rows_and_their_cache(table: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("token")
    (tmp_path / "aliases").write_text(json.dumps({"input": {"rid": IN}, "output": {"rid": OUT}}))
    options = ["--addr", "127.0.0.1:0", "--input-dir", str(table.parent), "--upload-dir", str(tmp_path / "uploads")]
    with subprocess.Popen([*FAAS, "mock-foundry", *options], stdout=subprocess.PIPE, text=True) as mock:
        try:
            assert mock.stdout
            environ = {
                "PATH": os.environ["PATH"],
                "FOUNDRY_URL": mock.stdout.readline().split()[-1],
                "BUILD2_TOKEN": str(tmp_path / "token"),
                "RESOURCE_ALIAS_MAP": str(tmp_path / "aliases"),
            }
            assert peak(["foundry", "--enricher", "static"], environ) < PEAK_LIMIT_KIB
            assert peak(["foundry", "--enricher", "static", "--fail-fast"], environ) < PEAK_LIMIT_KIB
        finally:
            mock.terminate()
    check(tmp_path / "uploads" / OUT / "_committed" / "readTable.csv")
