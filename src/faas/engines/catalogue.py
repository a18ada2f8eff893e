"""The catalogue of engine modules.

An installation from a wheel has the modules in BUILT. A checkout has their recipes (engines/ beside src/), and builds a
module that is missing in a process of its own: `make engines` does it ahead, a server in the background when a language
is first needed. A file's name contains the digest of its recipe, so a changed recipe is built again.
"""

import asyncio
import fcntl
import hashlib
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import get_args

import structlog

from faas.engines.engine import Engine, EngineName

log = structlog.get_logger()

BUILT = Path(__file__).parent / "built"
_CHECKOUT = Path(__file__).parents[3]
_RECIPES = _CHECKOUT / "engines"
# What the recipes use beside their own files: binaryen, and the packages of the Python engine.
_LOCKS = (
    _CHECKOUT / "src" / "faas" / "compile" / "toolchain" / "package-lock.json",
    _CHECKOUT / "requirements" / "engines.lock",
)
_RECIPE_SUFFIXES = {".c", ".json", ".lock", ".mjs", ".py", ".txt", ".wat"}
_NATIVE_CODE = "native"
_ERROR_SHOWN_CHARACTERS = 500
_NAMES: tuple[EngineName, ...] = get_args(EngineName)


class EngineMissing(Exception):
    """Raised when an engine module is not there and cannot be built, or does not fit. The message says what to do."""


class EngineCatalogue:
    """Finds the engine modules of this installation, and builds those that are missing. Use from one event loop."""

    def __init__(self) -> None:
        self._engines: dict[EngineName, Engine] = {}
        self._builds: dict[EngineName, asyncio.Task[Engine]] = {}

    async def load(self, digest: bytes) -> bytes | None:
        """Return the engine module with this SHA-256 digest, or None when it is none of this installation.

        Engines that are missing are built. Raises EngineMissing.
        """
        if found := self.find_by_digest(digest):
            return found.binary
        for name in _NAMES:
            if self.find(name) is None and (added := await self.get(name)).digest == digest:
                return added.binary
        return None

    def find_by_digest(self, digest: bytes) -> Engine | None:
        """Return the built engine of this installation with this SHA-256 digest, or None."""
        return next((engine for engine in self.built() if engine.digest == digest), None)

    def built(self) -> list[Engine]:
        """Return the engines that need not be built."""
        return [engine for name in _NAMES if (engine := self.find(name))]

    def find(self, name: EngineName) -> Engine | None:
        """Return the engine, or None where it is not built yet."""
        engine = self._engines.get(name)
        if engine is None:
            file = built_file(name)
            if not file.exists():
                return None
            engine = self._engines[name] = Engine.read(name, file)
        return engine

    async def get(self, name: EngineName) -> Engine:
        """Return the engine, and build it where it is missing: once for concurrent callers. Raises EngineMissing."""
        engine = self.find(name)
        if engine is not None:
            return engine
        task = self._builds.get(name)
        if task is None or task.done():
            task = self._builds[name] = asyncio.create_task(self._build(name), name=f"engine-build:{name}")
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Stop the builds in progress."""
        for task in self._builds.values():
            task.cancel()
        await asyncio.gather(*self._builds.values(), return_exceptions=True)

    async def _build(self, name: EngineName) -> Engine:
        file = built_file(name)
        if not can_build(name):
            raise EngineMissing(f"the engine module {file} is missing: install faas again")
        started = time.perf_counter()
        log.info("engine.build_started", engine=name)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "faas.engines.build", name),
            cwd=_CHECKOUT,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            _, errors = await process.communicate()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode:
            reason = errors.decode("utf-8", "replace").strip()[-_ERROR_SHOWN_CHARACTERS:]
            log.error("engine.build_failed", engine=name, error=reason)
            raise EngineMissing(f"the {name} engine could not be built; `make engines` shows why: {reason}")
        log.info("engine.built", engine=name, seconds=round(time.perf_counter() - started, 1))
        engine = self._engines[name] = Engine.read(name, file)
        return engine


def built_file(name: EngineName) -> Path:
    """Return where the engine module is, or will be when it is built."""
    recipe = _RECIPES / name
    if recipe.is_dir():
        return BUILT / f"{name}-{_recipe_digest(recipe)}.wasm"
    found = sorted(BUILT.glob(f"{name}-*.wasm"))
    return found[0] if found else BUILT / f"{name}.wasm"


def own_native_code_folder() -> Path | None:
    """Return the folder beside the engine modules for their native code, or None where they are another user's.

    An engine of 20 MB takes seconds of a processor to precompile, and is the same for all data directories and for
    processes that have none.
    """
    folder = BUILT if BUILT.is_dir() else BUILT.parent
    ours = folder.stat().st_uid == os.geteuid() and os.access(folder, os.W_OK)
    return BUILT / _NATIVE_CODE if ours else None


def can_build(name: EngineName) -> bool:
    """Return True in a checkout, which has the engine's recipe."""
    return (_RECIPES / name).is_dir()


def build(name: EngineName) -> Path:
    """Build the engine module from its recipe unless it is there, and return its file. For checkouts only.

    Another process that builds the same engine is waited for. Older builds are deleted.
    """
    file = built_file(name)
    BUILT.mkdir(exist_ok=True)
    with (BUILT / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if file.exists():
            return file
        sys.path.insert(0, str(_CHECKOUT))
        module = __import__(f"engines.{name}.build", fromlist=["build"])
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_bytes(module.build())
        partial.replace(file)
        for other in BUILT.glob(f"{name}-*.wasm"):
            if other != file:
                other.unlink()
    return file


def _recipe_digest(recipe: Path) -> str:
    """Return a digest of the files that decide what is built."""
    own = [path for path in recipe.rglob("*") if path.suffix in _RECIPE_SUFFIXES and "node_modules" not in path.parts]
    files = sorted([*own, *_RECIPES.glob("*.py"), *_LOCKS])
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_CHECKOUT)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]
