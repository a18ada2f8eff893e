"""The file of the key: made once, with what others may not do, and never overwritten."""

import os
import re
import stat
import threading
from pathlib import Path

import pytest

from faas.errors import SecretKeyUnavailable
from faas.secret_store.key_file import Keyring, make_key, read_key
from faas.secret_store.sealing import KEY_BYTES


def test_make_key_writes_a_private_file_with_the_whole_key(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret.key"
    key = make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == KEY_BYTES
    found = read_key(path)
    assert found is not None
    assert found.id == key.id
    assert os.listdir(path.parent) == ["secret.key"]  # noqa: PTH208 - the hidden files too


def test_make_key_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    first = make_key(path)
    content = path.read_bytes()
    assert make_key(path).id == first.id
    assert path.read_bytes() == content
    path.write_bytes(b"half")
    with pytest.raises(SecretKeyUnavailable, match="has 4 bytes; a key has exactly 32"):
        make_key(path)
    assert path.read_bytes() == b"half"


def test_make_key_of_many_at_once_is_one_key(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    ids: list[str] = []
    start = threading.Barrier(8)

    def make() -> None:
        start.wait()
        ids.append(make_key(path).id)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1


def test_make_key_where_nothing_can_be_written_says_how_to_make_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SecretKeyUnavailable, match=r"cannot be made: .*; make it with `head -c 32 /dev/urandom`"):
        make_key(tmp_path / "file" / "folder" / "secret.key")


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o601, 0o777])
def test_read_key_refuses_a_file_that_others_may_read_or_change(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret.key"
    make_key(path)
    path.chmod(mode)
    with pytest.raises(SecretKeyUnavailable, match=re.escape(f"has the mode 0{mode:o}, with which other users may")):
        read_key(path)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_read_key_accepts_a_file_of_its_owner_and_group(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret.key"
    key = make_key(path)
    path.chmod(mode)
    found = read_key(path)
    assert found is not None
    assert found.id == key.id


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33, b"x" * 100_000])
def test_read_key_refuses_another_length(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret.key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(SecretKeyUnavailable, match="bytes; a key has exactly 32"):
        read_key(path)


def test_read_key_refuses_what_is_no_file_without_waiting(tmp_path: Path) -> None:
    assert read_key(tmp_path / "missing") is None
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(SecretKeyUnavailable, match="FAAS_SECRET_KEY_FILE is not a file"):
            read_key(path)


def test_read_key_follows_a_link(tmp_path: Path) -> None:
    """As a volume of Kubernetes has them."""
    key = make_key(tmp_path / "secret.key")
    (tmp_path / "link").symlink_to("secret.key")
    found = read_key(tmp_path / "link")
    assert found is not None
    assert found.id == key.id


async def test_keyring_finds_a_key_that_was_put_there_later(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "secret.key")
    key = make_key(tmp_path / "elsewhere")
    assert await keyring.find(key.id) is None
    (tmp_path / "elsewhere").rename(tmp_path / "secret.key")
    found = await keyring.find(key.id)
    assert found is not None
    assert found.id == key.id
    assert await keyring.find("0" * 16) is None
    (tmp_path / "secret.key").unlink()
    assert await keyring.read() is None
    kept = await keyring.find(key.id)
    assert kept is not None, "a server that has read the key goes on without the file"
    assert kept.id == key.id
