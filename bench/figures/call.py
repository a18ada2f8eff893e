"""One sandboxed call in process: a new store and instance, writing the input, reading the output."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench.client import FUNCTIONS, INPUT, warm_faas
from bench.compiler import compile_cold
from bench.database import module_of
from bench.failure import BenchmarkFailed
from bench.plan import Plan
from bench.servers import FAAS, PEERS, ROOT
from bench.stats import Figure, at_most, figure, in_turns

_OUTPUT = '{"sum":3}'
_NOISE_RATIO = 1.05  # between two runs of the same module


def measure(plan: Plan) -> list[Figure]:
    """Compare `faas run --repeat` with wasmtime-py as documented and with an Extism plug-in of one instance."""
    folder = plan.place("call")
    with warm_faas(plan.data_dir("call-data")) as (server, client):
        for name, file in (
            ("add", "add.as.ts"),
            ("plain", "add_by_hand.as.ts"),
            ("start_up", "add_by_hand_with_start_up.as.ts"),
        ):
            client.deploy(name, file)
            client.add(name)
            (folder / f"{name}.wasm").write_bytes(module_of(server, name))
    plugin = folder / "plugin.wasm"
    compile_cold(FUNCTIONS / "add_extism.as.ts", plugin, "--use", "abort=add_extism.as/trap", "-O3", json_as=True)

    calls = plan.count(2000)

    def ours(name: str) -> Callable[[], float]:
        command = [str(FAAS), "run", str(folder / f"{name}.wasm"), "--input", INPUT]
        return lambda: _microseconds([*command, "--repeat", str(calls), "--json"])

    def peer(python: Path, name: str, module: Path) -> Callable[[], float]:
        command = [str(python), "-m", f"bench.peers.{name}", str(module), INPUT, _OUTPUT, str(calls)]
        return lambda: _microseconds(command)

    rounds = in_turns(
        plan.rounds,
        {
            "ours": ours("add"),
            "wasmtime": peer(Path(sys.executable), "plain_wasmtime", folder / "add.wasm"),
            "extism": peer(PEERS / "python", "extism_plugin", plugin),
            "plain": ours("plain"),
            "start_up": ours("start_up"),
        },
    )
    name = "one call in process"
    return [
        figure(name, "µs", at_most(0.2), rounds["ours"], ("wasmtime-py as documented", rounds["wasmtime"])),
        figure(name, "µs", at_most(3), rounds["ours"], ("Extism, one instance for all", rounds["extism"])),
        figure(
            "one call, with start-up code (json-as)",
            "µs",
            at_most(_NOISE_RATIO),
            rounds["start_up"],
            ("without start-up code", rounds["plain"]),
        ),
    ]


def _microseconds(command: list[str]) -> float:
    """Return the median call in microseconds of a process that prints `callSeconds`."""
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    if result.returncode:
        raise BenchmarkFailed(f"{' '.join(command[:3])}: {result.stderr.strip()[-500:]}")
    return float(json.loads(result.stdout)["callSeconds"]["median"]) * 1e6
