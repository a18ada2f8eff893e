"""The native code of engines is kept beside them, for processes with and without a data directory."""

import os
from pathlib import Path

import pytest

from faas import settings
from faas.bootstrap import open_local_runtime
from faas.engines import catalogue, own_native_code_folder
from faas.runtime import Precompiler
from tests.helpers.local_functions import LocalFunctions

SOURCE = "export const handle = () => 1;"


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the engine modules of an installation, which has that of JavaScript alone."""
    module = catalogue.build("javascript")
    monkeypatch.setattr(catalogue, "_RECIPES", tmp_path / "none")
    monkeypatch.setattr(catalogue, "BUILT", tmp_path)
    (tmp_path / module.name).symlink_to(module)
    return tmp_path


@pytest.fixture
def precompiled_engines(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The digests of the engines that are precompiled."""
    found = []
    precompile = Precompiler.precompile

    async def noted(
        self: Precompiler, digest: bytes, binary: bytes, *, new: bool, copy_on_write: bool = False
    ) -> object:
        if copy_on_write:
            found.append(digest)
        return await precompile(self, digest, binary, new=new, copy_on_write=copy_on_write)

    monkeypatch.setattr(Precompiler, "precompile", noted)
    return found


async def call() -> object:
    """Return the output of a function in JavaScript, in a process without a data directory."""
    async with open_local_runtime(settings.load({})) as local:
        return await LocalFunctions(local).value(SOURCE)


async def test_engine_is_precompiled_once_for_processes_without_a_data_directory(
    installation: Path, precompiled_engines: list[bytes]
) -> None:
    assert [await call(), await call()] == [1, 1]
    assert len(precompiled_engines) == 1
    (file,) = (installation / "native").iterdir()
    assert file.name.startswith(precompiled_engines[0].hex())
    assert (file.parent.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


async def test_engine_with_damaged_native_code_is_precompiled_again(
    installation: Path, precompiled_engines: list[bytes]
) -> None:
    assert await call() == 1
    (file,) = (installation / "native").iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert await call() == 1
    assert len(precompiled_engines) == 2
    assert file.read_bytes() == content


async def test_installation_that_cannot_be_written_is_left_as_it_is(
    installation: Path, precompiled_engines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a read-only disk, which also root cannot write."""
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != installation)
    assert own_native_code_folder() is None
    assert [await call(), await call()] == [1, 1]
    assert len(precompiled_engines) == 2
    assert not (installation / "native").exists()


async def test_native_code_that_others_may_write_is_not_used(
    installation: Path, precompiled_engines: list[bytes]
) -> None:
    assert await call() == 1
    (installation / "native").chmod(0o770)
    assert await call() == 1
    assert len(precompiled_engines) == 2


def test_installation_of_another_user_is_left_as_it_is(installation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_native_code_folder() == installation / "native"
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert own_native_code_folder() is None
