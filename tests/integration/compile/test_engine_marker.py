"""Authors' modules with the section that marks a function of an engine are refused when they are compiled."""

import base64
import hashlib

from faas.compile.languages.wasm import WasmCompiler
from faas.compile.languages.wat import WatCompiler
from faas.compile.outcome import Compiled, CompileFailure
from faas.runtime import Runtime
from faas.runtime.images import Image, build
from tests.helpers.support import core_wat, wat

REFUSED = CompileFailure("the module has a custom section faas.engine, which only the platform may write: remove it")
IMAGE = build(Image(engine=hashlib.sha256(b"an engine").digest(), pages=1, segments=(), globals={}, contract="json"))


async def test_wasm_compiler_refuses_the_engine_marker(runtime: Runtime) -> None:
    compiler = WasmCompiler(runtime)
    plain = wat(core_wat())
    marked = plain + b"\0\x0c\x0bfaas.engine"
    assert await compiler.compile(base64.b64encode(plain).decode()) == Compiled(plain)
    assert await compiler.compile(base64.b64encode(marked).decode()) == REFUSED
    assert await compiler.compile(base64.b64encode(IMAGE).decode()) == REFUSED


async def test_wat_compiler_refuses_the_engine_marker(runtime: Runtime) -> None:
    compiler = WatCompiler(runtime)
    assert isinstance(await compiler.compile(core_wat()), Compiled)
    assert await compiler.compile(core_wat(extra='(@custom "faas.engine" "")')) == REFUSED
