"""Big inputs through the compute module: peak memory and time, by number of rows.

    .venv/bin/python bench/compute_module.py [ROWS ...]

For each number of rows the whole run happens in a process of its own, `faas pipeline`, with the enricher `static`:
file to file, then in Foundry against a `faas mock-foundry` in another process, as a dataset (a first run, and a second
that finds everything in the cache) and as a stream (the same). Printed is the run's own peak resident memory.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IN, OUT = "ri.foundry.main.dataset.in", "ri.foundry.main.dataset.out"
FAAS = [sys.executable, "-m", "faas"]


def main(sizes: list[int]) -> None:
    print(f"{'rows':>8}  {'run':<22} {'seconds':>8} {'peak MiB':>9}")
    for rows in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "inputs").mkdir()
            table = folder / "inputs" / f"{IN}.csv"
            with table.open("w") as file:
                file.write("id,email,note\n")
                for number in range(rows):
                    file.write(f'{number},first.last{number}@company{number % 977}.example,"some text, {number}"\n')
            environ = place(folder)
            show(rows, "local", ["local", "--input", str(table), "--output", str(folder / "out.csv")], environ)
            for mode in ("dataset", "stream"):
                with mock_foundry(folder, mode) as url:
                    run = ["foundry", "--output-write-mode", mode]
                    show(rows, f"{mode}, first run", run, environ | {"FOUNDRY_URL": url})
                    show(rows, f"{mode}, all cached", run, environ | {"FOUNDRY_URL": url})


def place(folder: Path) -> dict[str, str]:
    """The environment of a Foundry run."""
    (folder / "token").write_text("token")
    (folder / "aliases").write_text(json.dumps({"input": {"rid": IN}, "output": {"rid": OUT}}))
    files = {"BUILD2_TOKEN": str(folder / "token"), "RESOURCE_ALIAS_MAP": str(folder / "aliases")}
    return {**os.environ, **files}


@contextmanager
def mock_foundry(folder: Path, mode: str) -> Iterator[str]:
    """Serve a mock Foundry whose output is a dataset or a stream."""
    command = ["mock-foundry", "--addr", "127.0.0.1:0", "--input-dir", str(folder / "inputs")]
    command += ["--upload-dir", str(folder / mode), "--stream-rids", OUT if mode == "stream" else ""]
    process = subprocess.Popen([*FAAS, *command], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.communicate()


def show(rows: int, name: str, command: list[str], environ: dict[str, str]) -> None:
    """Run to the end and print what it took."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [*FAAS, "pipeline", *command, "--enricher", "static"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{name}: exit code {process.returncode}"
    assert re.match(rf"rows={rows} unique={rows} ", output), output
    print(f"{rows:>8}  {name:<22} {time.perf_counter() - started:>8.1f} {usage.ru_maxrss / 1024:>9.0f}", flush=True)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [1_000, 50_000, 200_000])
