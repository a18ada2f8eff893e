"""The catalogue of engines: found, built once, and reported when they cannot be built."""

import asyncio
import sys
from pathlib import Path

import pytest

from faas.compile.languages.javascript import JavaScriptCompiler
from faas.compile.outcome import CompileFailure
from faas.compile.snapshot import Snapshots
from faas.engines import EngineCatalogue, EngineMissing, catalogue
from tests.helpers.guests import small_runtime


async def test_catalogue_finds_the_built_engine_by_its_digest() -> None:
    catalogue.build("javascript")
    engines = EngineCatalogue()
    engine = await engines.get("javascript")
    assert engine.binary == engine.file.read_bytes()
    assert await engines.load(engine.digest) == engine.binary


def test_catalogue_name_of_a_build_follows_from_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tmp_path / "engines" / "javascript"
    recipe.mkdir(parents=True)
    lock = tmp_path / "package-lock.json"
    lock.write_text("{}")
    for name, value in (("_CHECKOUT", tmp_path), ("_RECIPES", recipe.parent), ("_LOCKS", (lock,))):
        monkeypatch.setattr(catalogue, name, value)
    (recipe / "shim.wat").write_text("(module)")
    first = catalogue.built_file("javascript")
    (recipe / "notes.md").write_text("not part of the recipe")
    (recipe / "node_modules").mkdir()
    (recipe / "node_modules" / "index.mjs").write_text("pinned by package-lock.json")
    assert catalogue.built_file("javascript") == first
    (recipe / "shim.wat").write_text("(module )")
    assert catalogue.built_file("javascript") != first


def test_catalogue_of_an_installation_takes_the_file_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_RECIPES", tmp_path / "none")
    monkeypatch.setattr(catalogue, "BUILT", tmp_path)
    (tmp_path / "javascript-0123.wasm").write_bytes(b"engine")
    engine = EngineCatalogue().find("javascript")
    assert engine
    assert engine.binary == b"engine"


async def test_catalogue_without_engine_and_recipe_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_RECIPES", tmp_path / "none")
    monkeypatch.setattr(catalogue, "BUILT", tmp_path)
    engines = EngineCatalogue()
    with pytest.raises(EngineMissing, match="install faas again"):
        await engines.get("javascript")
    async with small_runtime(load_engine=engines.load) as runtime:
        snapshots = Snapshots("javascript", engines, runtime.engine_code, workers=1, stack=1 << 20, memory=64 << 20)
        compiler = JavaScriptCompiler(snapshots)
        assert compiler.state() == "WARMING"
        keeping = asyncio.create_task(compiler.keep_warm())
        compiled = await compiler.compile("export const handle = () => 1;")
        assert isinstance(compiled, CompileFailure)
        assert "install faas again" in compiled.diagnostics
        assert compiler.state().startswith("DOWN: the engine module ")
        keeping.cancel()
        await compiler.close()


async def test_catalogue_reports_a_build_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "built_file", lambda _name: tmp_path / "javascript-0.wasm")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(EngineMissing, match="`make engines` shows why"):
        await EngineCatalogue().get("javascript")
