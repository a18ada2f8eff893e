"""Native code in sealed memory: complete, unchangeable, and loaded without a copy."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import pytest
import wasmtime

from faas.runtime.precompile.cache import NativeCodeCache
from faas.runtime.precompile.sealed_code import SealedCode
from faas.runtime.precompile.worker import engine_config
from tests.helpers.engines import engine_binary

DIGEST = hashlib.sha256(b"an engine").digest()


def open_files(folder: Path) -> int:
    """Return how many files of `folder`, and in memory alone, this process has open."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # another thread has closed it
            count += str(descriptor.readlink()).startswith((str(folder), "/memfd:"))
    return count


def native_code() -> bytes:
    return bytes(wasmtime.Module(wasmtime.Engine(engine_config(1 << 20)), engine_binary()).serialize())


def test_sealed_code_cannot_be_changed() -> None:
    sealed = SealedCode.of(b"native code")
    again = os.open(f"/proc/self/fd/{sealed.descriptor}", os.O_RDWR)  # as another process may open it
    for descriptor in (sealed.descriptor, again):
        for attempt in (
            lambda at: os.pwrite(at, b"x", 0),
            lambda at: os.ftruncate(at, 5),
            lambda at: os.ftruncate(at, 50),
        ):
            with pytest.raises(PermissionError):
                attempt(descriptor)
    assert os.pread(again, 100, 0) == b"native code"
    assert sealed.digest() == hashlib.sha256(b"native code").digest()
    os.close(again)
    sealed.close()


def test_sealed_code_is_loaded_by_the_engine_that_it_is_for() -> None:
    sealed = SealedCode.of(native_code())
    module = sealed.load(wasmtime.Engine(engine_config(1 << 20)))
    maps = Path("/proc/self/maps").read_text()
    assert "/memfd:faas-native-code" in maps  # mapped, not copied
    with pytest.raises(wasmtime.WasmtimeError):
        sealed.load(wasmtime.Engine(engine_config(1 << 20, copy_on_write=True)))
    sealed.close()
    assert "handle" in {export.name for export in module.exports}  # the mapping outlives the descriptor


def test_sealed_code_is_loaded_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = SealedCode.of(native_code())
    monkeypatch.setattr(Path, "exists", lambda _self: False)
    module = sealed.load(wasmtime.Engine(engine_config(1 << 20)))
    assert "handle" in {export.name for export in module.exports}
    sealed.close()


def test_native_code_cache_returns_sealed_code_only_where_it_is_intact(tmp_path: Path) -> None:
    cache = NativeCodeCache(tmp_path / "artifacts", "engine")
    assert cache.get_sealed(DIGEST) is None
    cache.put(DIGEST, b"native code")
    sealed = cache.get_sealed(DIGEST)
    assert sealed
    assert os.pread(sealed.descriptor, 100, 0) == b"native code"
    sealed.close()
    (file,) = (tmp_path / "artifacts").iterdir()
    whole = file.read_bytes()
    open_before = open_files(tmp_path)
    for content in (b"", whole[:10], whole[:32], whole[:-1], whole + b"x"):
        file.write_bytes(content)
        assert cache.get_sealed(DIGEST) is None
    file.write_bytes(whole)
    file.chmod(0o666)
    assert cache.get_sealed(DIGEST) is None
    assert open_files(tmp_path) <= open_before  # other threads may close some
