"""Native code on disk: taken only when it is ours, whole, and for this engine."""

import hashlib
import os
from pathlib import Path

import pytest

from faas.runtime import Artifacts, Limits, Runtime
from faas.runtime.precompile.cache import ArtifactCache
from tests.helpers.support import core_wat, wat

DIGEST = hashlib.sha256(b"a module").digest()
CODE = b"native code " * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def cache(folder: Path) -> ArtifactCache:
    found = ArtifactCache(folder, "engine")
    found.put(DIGEST, CODE)
    return found


def file_of(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_what_was_put_is_found(cache: ArtifactCache, folder: Path) -> None:
    assert cache.get(DIGEST) == CODE
    assert cache.get(b"another") is None
    assert folder.stat().st_mode & 0o777 == 0o700
    assert file_of(folder).stat().st_mode & 0o777 == 0o600


def test_another_engine_finds_nothing(folder: Path, cache: ArtifactCache) -> None:
    assert ArtifactCache(folder, "another engine").get(DIGEST) is None
    assert cache.get(DIGEST) == CODE


@pytest.mark.parametrize(
    "content", [b"", b"torn", hashlib.sha256(CODE).digest() + CODE[:-1]], ids=["empty", "torn", "cut"]
)
def test_a_damaged_file_is_a_miss(cache: ArtifactCache, folder: Path, content: bytes) -> None:
    file_of(folder).write_bytes(content)
    assert cache.get(DIGEST) is None


def test_what_others_can_write_is_not_trusted(cache: ArtifactCache, folder: Path) -> None:
    file_of(folder).chmod(0o666)
    assert cache.get(DIGEST) is None
    file_of(folder).chmod(0o600)
    assert cache.get(DIGEST) == CODE
    folder.chmod(0o777)
    assert cache.get(DIGEST) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_file_is_not_trusted(cache: ArtifactCache, folder: Path) -> None:
    os.chown(file_of(folder), 65534, -1)
    assert cache.get(DIGEST) is None


def test_a_link_is_not_followed(cache: ArtifactCache, folder: Path, tmp_path: Path) -> None:
    file = file_of(folder)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert cache.get(DIGEST) is None


def test_the_ones_used_least_recently_go_first(folder: Path) -> None:
    cache = ArtifactCache(folder, "engine", largest=3 * len(CODE))
    digests = [hashlib.sha256(b"%d" % number).digest() for number in range(3)]
    for age, digest in enumerate(digests):
        cache.put(digest, CODE)
        os.utime(cache._path(digest), (age, age))
        if age == 1:
            assert cache.get(digests[0]) == CODE  # used: younger than the second now
    assert [cache.get(digest) is not None for digest in digests] == [True, False, True]


def test_a_folder_that_cannot_be_written_costs_the_cache_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = ArtifactCache(tmp_path / "file" / "artifacts", "engine")
    cache.put(DIGEST, CODE)
    assert cache.get(DIGEST) is None


async def test_a_restarted_runtime_asks_neither_the_database_nor_a_translator(folder: Path) -> None:
    limits = Limits(time=1, memory=16 << 20, stack=256 << 10, input=1 << 20, output=1 << 20, logs=2000)

    def opened() -> Runtime:
        artifacts = Artifacts(stack=limits.stack, timeout=60, memory=2 << 30, workers=1, cache=folder)
        return Runtime(limits, artifacts, threads=2, cached_modules=4)

    binary = wat(core_wat())

    async def load() -> bytes:
        raise AssertionError("the module was loaded")

    async with opened() as first:
        assert await first.check(binary) is None
    async with opened() as second:
        assert (await second.run(hashlib.sha256(binary).digest(), load, b'{"n":1}')).output == b'{"n":1}'
        assert not second.processes.processes
