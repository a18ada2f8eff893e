"""The token that the commands send: where it is found, and what is refused without showing it."""

import os
from pathlib import Path

import pytest

from faas.cli.credentials import Credentials, find_credentials
from faas.errors import ConfigurationError

TOKEN = f"faas_{'a' * 12}_{'b' * 32}"  # not a random one: parameters of tests are their names
OTHER = f"faas_{'c' * 12}_{'d' * 32}"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of the token file, in a folder that exists."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("FAAS_TOKEN", raising=False)
    (tmp_path / "faas").mkdir()
    return tmp_path / "faas" / "token"


def put(file: Path, text: str, mode: int = 0o600) -> None:
    file.write_text(text)
    file.chmod(mode)


def test_credentials_are_the_first_line_of_the_file(file: Path) -> None:
    put(file, f"{TOKEN}\n# of the shop\n")
    assert find_credentials() == Credentials(TOKEN, str(file))


def test_credentials_of_the_variable_go_before_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(file, OTHER, 0o644)
    monkeypatch.setenv("FAAS_TOKEN", f"{TOKEN}\n")
    assert find_credentials() == Credentials(TOKEN, "FAAS_TOKEN")


def test_credentials_are_in_the_home_directory_without_xdg_config_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("FAAS_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".config" / "faas").mkdir(parents=True)
    put(tmp_path / ".config" / "faas" / "token", TOKEN)
    assert find_credentials().token == TOKEN


def test_credentials_may_be_missing_or_empty(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAAS_TOKEN", "")
    assert find_credentials() == Credentials(None, f"FAAS_TOKEN is not set, and there is no {file}")
    put(file, "\n")
    assert find_credentials() == Credentials(None, f"FAAS_TOKEN is not set, and {file} is empty")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(file))  # not a folder
    assert find_credentials().token is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_credentials_refuse_a_file_that_others_can_read(file: Path, mode: int) -> None:
    put(file, TOKEN, mode)
    with pytest.raises(ConfigurationError, match=f"mode {mode:04o}.*chmod 600 {file}$") as raised:
        find_credentials()
    assert TOKEN not in str(raised.value)


def test_credentials_refuse_what_is_not_a_file(file: Path) -> None:
    os.mkfifo(file, 0o600)
    with pytest.raises(ConfigurationError, match="is not a file"):
        find_credentials()
    file.unlink()
    file.mkdir(0o700)
    with pytest.raises(ConfigurationError, match="is not a file"):
        find_credentials()


@pytest.mark.parametrize("text", [f"{TOKEN}x", TOKEN.upper(), f"Bearer {TOKEN}", f"{TOKEN} {OTHER}", "secret-é"])
def test_credentials_refuse_what_is_no_token_and_do_not_show_it(
    file: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(file, text)
    with pytest.raises(ConfigurationError, match=f"^{file} does not contain a token") as raised:
        find_credentials()
    assert text not in str(raised.value)
    monkeypatch.setenv("FAAS_TOKEN", text)
    with pytest.raises(ConfigurationError, match=r"^FAAS_TOKEN does not contain a token") as raised:
        find_credentials()
    assert text not in str(raised.value)


def test_credentials_do_not_show_the_token() -> None:
    assert TOKEN not in repr(Credentials(TOKEN, "FAAS_TOKEN"))
