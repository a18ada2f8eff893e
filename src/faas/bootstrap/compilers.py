"""The runtime and the compilers of a process, as its settings ask for them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import get_args

import msgspec

from faas.compile.languages import Compiler
from faas.compile.languages.assemblyscript import AssemblyScriptCompiler, find_node
from faas.compile.languages.javascript import JavaScriptCompiler
from faas.compile.languages.python import PythonCompiler
from faas.compile.languages.typescript import TypeScriptCompiler
from faas.compile.languages.wasm import WasmCompiler
from faas.compile.languages.wat import WatCompiler
from faas.compile.outcome import Compiled
from faas.compile.snapshot import Snapshots
from faas.compile.surroundings import Surroundings
from faas.engines import EngineCatalogue, EngineMissing, EngineName, own_native_code_folder
from faas.function_settings import FunctionSettings
from faas.functions.engine_upgrade import RefusedSource, TakeImage
from faas.languages import Language
from faas.runtime import Limits, LoadEngine, Precompiler, Runtime
from faas.settings import Settings


class LocalRuntime(msgspec.Struct, frozen=True):
    """The compilers and the runtime of a process without a database and a port."""

    compilers: Mapping[str, Compiler]
    runtime: Runtime


@asynccontextmanager
async def open_local_runtime(settings: Settings) -> AsyncIterator[LocalRuntime]:
    """Open the runtime and all compilers. Their worker processes start with the first request."""
    async with AsyncExitStack() as stack:
        engines = open_engines(stack)
        runtime = await open_runtime(stack, settings, engines.load, cache=None)
        yield LocalRuntime(open_compilers(stack, settings, runtime, engines, get_args(Language)), runtime)


def open_engines(stack: AsyncExitStack) -> EngineCatalogue:
    """Open the catalogue of engine modules until `stack` closes."""
    engines = EngineCatalogue()
    stack.push_async_callback(engines.close)
    return engines


async def load_cached_engines(runtime: Runtime, engines: EngineCatalogue) -> None:
    """Load the engines whose native code is on the disk, so that no call after a restart waits for them."""

    async def load(name: EngineName) -> None:
        engine = await asyncio.to_thread(engines.find, name)
        if engine:
            await runtime.load_cached_engine(engine.digest)

    await asyncio.gather(*map(load, get_args(EngineName)))


async def open_runtime(
    stack: AsyncExitStack, settings: Settings, load_engine: LoadEngine, *, cache: Path | None
) -> Runtime:
    """Open the runtime, with `cache` as the folder of precompiled modules, until `stack` closes.

    The native code of engines is kept beside them, too, where this user may write there.
    """
    limits = Limits(
        time=settings.time_limit,
        memory=settings.memory_limit,
        stack=settings.stack_limit,
        input=settings.input_limit,
        output=settings.output_limit,
        logs=settings.log_limit,
    )
    precompiler = Precompiler(
        stack=settings.stack_limit,
        timeout=settings.compile_timeout,
        memory=settings.compile_memory,
        workers=settings.compile_workers,
        cache=cache,
        engine_cache=own_native_code_folder(),
    )
    return await stack.enter_async_context(
        Runtime(
            limits,
            precompiler,
            threads=settings.max_in_flight,
            cached_modules=settings.module_cache,
            load_engine=load_engine,
        )
    )


def open_compilers(
    stack: AsyncExitStack,
    settings: Settings,
    runtime: Runtime,
    engines: EngineCatalogue,
    languages: Iterable[Language],
) -> dict[str, Compiler]:
    """Open the compilers of `languages` until `stack` closes.

    Raises ConfigurationError when a part of a compiler is not installed.
    """
    snapshots_of: dict[EngineName, Snapshots] = {
        name: Snapshots(
            name,
            engines,
            runtime.engine_code,
            # A process of CPython takes 75 MB, and a source 50 ms: a second process costs more than it gains.
            workers=1 if name == "python" else settings.compile_workers,
            stack=settings.stack_limit,
            memory=settings.memory_limit,
        )
        for name in get_args(EngineName)
    }
    javascript = snapshots_of["javascript"]
    factories: dict[Language, Callable[[], Compiler]] = {
        "javascript": partial(JavaScriptCompiler, javascript),
        "typescript": partial(_typescript_compiler, settings, javascript),
        "python": partial(PythonCompiler, snapshots_of["python"]),
        "assemblyscript": partial(_assemblyscript_compiler, settings),
        "wat": partial(WatCompiler, runtime),
        "wasm": partial(WasmCompiler, runtime),
    }
    compilers: dict[str, Compiler] = {language: factories[language]() for language in languages}
    for compiler in compilers.values():
        stack.push_async_callback(compiler.close)
    return compilers


def image_taker(compilers: Mapping[str, Compiler]) -> TakeImage:
    """Return how an engine upgrade takes images: with `compilers`, as deploys do. It raises EngineMissing."""

    async def take(language: str, source: str, settings: FunctionSettings) -> bytes | RefusedSource:
        outcome = await compilers[language].compile(source, Surroundings(settings.env, settings.secrets))
        if isinstance(outcome, Compiled):
            return outcome.binary
        if not outcome.of_source:
            raise EngineMissing(outcome.diagnostics)
        return RefusedSource(outcome.diagnostics)

    return take


def _typescript_compiler(settings: Settings, snapshots: Snapshots) -> TypeScriptCompiler:
    find_node()  # Raises at start instead of in the first compilation.
    return TypeScriptCompiler(
        snapshots, workers=settings.compile_workers, timeout=settings.compile_timeout, memory=settings.compile_memory
    )


def _assemblyscript_compiler(settings: Settings) -> AssemblyScriptCompiler:
    find_node()  # Raises at start instead of in the first compilation.
    return AssemblyScriptCompiler(
        workers=settings.compile_workers,
        timeout=settings.compile_timeout,
        memory=settings.compile_memory,
        output_limit=settings.compile_output_limit,
    )
