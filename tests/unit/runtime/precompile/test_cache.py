"""The cache of native code: a file counts only if it is this user's, intact, and made for this engine."""

import hashlib
import os
from pathlib import Path
from typing import NoReturn

import pytest

from faas.runtime import Limits, Precompiler, Runtime
from faas.runtime.precompile.cache import NativeCodeCache
from tests.helpers.support import core_wat, wat

DIGEST = hashlib.sha256(b"a module").digest()
CODE = b"native code " * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def cache(folder: Path) -> NativeCodeCache:
    found = NativeCodeCache(folder, "engine")
    found.put(DIGEST, CODE)
    return found


def file_of(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_native_code_cache_returns_what_was_put(cache: NativeCodeCache, folder: Path) -> None:
    assert cache.get(DIGEST) == CODE
    assert cache.get(b"another") is None
    assert folder.stat().st_mode & 0o777 == 0o700
    assert file_of(folder).stat().st_mode & 0o777 == 0o600


def test_native_code_cache_misses_for_another_engine(folder: Path, cache: NativeCodeCache) -> None:
    assert NativeCodeCache(folder, "another engine").get(DIGEST) is None
    assert cache.get(DIGEST) == CODE


@pytest.mark.parametrize(
    "content", [b"", b"torn", hashlib.sha256(CODE).digest() + CODE[:-1]], ids=["empty", "torn", "cut"]
)
def test_native_code_cache_misses_a_damaged_file(cache: NativeCodeCache, folder: Path, content: bytes) -> None:
    file_of(folder).write_bytes(content)
    assert cache.get(DIGEST) is None


def test_native_code_cache_does_not_trust_what_others_can_write(cache: NativeCodeCache, folder: Path) -> None:
    file_of(folder).chmod(0o666)
    assert cache.get(DIGEST) is None
    file_of(folder).chmod(0o600)
    assert cache.get(DIGEST) == CODE
    folder.chmod(0o777)
    assert cache.get(DIGEST) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_native_code_cache_does_not_trust_the_file_of_another_user(cache: NativeCodeCache, folder: Path) -> None:
    os.chown(file_of(folder), 65534, -1)
    assert cache.get(DIGEST) is None


def test_native_code_cache_does_not_follow_a_link(cache: NativeCodeCache, folder: Path, tmp_path: Path) -> None:
    file = file_of(folder)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert cache.get(DIGEST) is None


def test_native_code_cache_evicts_the_least_recently_used(folder: Path) -> None:
    cache = NativeCodeCache(folder, "engine", max_bytes=3 * len(CODE))
    digests = [hashlib.sha256(b"%d" % number).digest() for number in range(3)]
    for age, digest in enumerate(digests):
        cache.put(digest, CODE)
        (file,) = folder.glob(f"{digest.hex()}-*")
        os.utime(file, (age, age))
        if age == 1:
            assert cache.get(digests[0]) == CODE  # used: younger than the second now
    assert [cache.get(digest) is not None for digest in digests] == [True, False, True]


def test_native_code_cache_does_not_list_the_folder_for_each_file(
    cache: NativeCodeCache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> NoReturn:
        raise AssertionError("the folder is listed")

    monkeypatch.setattr(Path, "iterdir", refuse)
    for number in range(10):
        cache.put(hashlib.sha256(b"%d" % number).digest(), CODE)


def test_native_code_cache_keeps_a_full_folder_within_the_limit(folder: Path) -> None:
    size = len(CODE) + hashlib.sha256().digest_size
    cache = NativeCodeCache(folder, "engine", max_bytes=64 * size)
    for number in range(200):
        cache.put(hashlib.sha256(b"%d" % number).digest(), CODE)
        assert len(list(folder.iterdir())) <= 64
    assert len(list(folder.iterdir())) >= 60


def test_native_code_cache_is_disabled_by_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = NativeCodeCache(tmp_path / "file" / "artifacts", "engine")
    cache.put(DIGEST, CODE)
    assert cache.get(DIGEST) is None


def test_native_code_cache_works_on_a_read_only_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = NativeCodeCache(tmp_path / "artifacts", "engine")
    cache.put(DIGEST, CODE)

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    assert cache.get(DIGEST) == CODE


async def test_native_code_cache_saves_a_restarted_runtime_loading_and_precompiling(folder: Path) -> None:
    limits = Limits(time=1, memory=16 << 20, stack=256 << 10, input=1 << 20, output=1 << 20, logs=2000)

    def opened() -> Runtime:
        precompiler = Precompiler(stack=limits.stack, timeout=60, memory=2 << 30, workers=1, cache=folder)
        return Runtime(limits, precompiler, threads=2, cached_modules=4)

    binary = wat(core_wat())

    async def load() -> bytes:
        raise AssertionError("the module was loaded")

    async with opened() as first:
        assert await first.check(binary) is None
    async with opened() as second:
        assert (await second.run(hashlib.sha256(binary).digest(), load, b'{"n":1}')).output == b'{"n":1}'
        assert not second.precompiler_pool.processes
