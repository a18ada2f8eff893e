"""Tests of the commit that `faas --version` and the wheel show."""

import subprocess
from pathlib import Path

import pytest

from faas.cli.commit import describe_commit


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with one commit of one file."""
    (tmp_path / "file").write_text("1")
    for arguments in (["init", "-q"], ["add", "file"], ["commit", "-qm", "First", "--no-verify"]):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "core.hooksPath=/dev/null"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True)
    return tmp_path


def test_describe_commit_gives_the_short_hash(repository: Path) -> None:
    head = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    )
    assert describe_commit(repository) == head.stdout[:12]


def test_describe_commit_marks_changed_files(repository: Path) -> None:
    (repository / "file").write_text("2")
    assert str(describe_commit(repository)).endswith("-dirty")


def test_describe_commit_ignores_another_projects_repository(repository: Path) -> None:
    (repository / "below").mkdir()
    assert describe_commit(repository / "below") is None


def test_describe_commit_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert describe_commit(repository) is None


def test_describe_commit_outside_a_repository(tmp_path: Path) -> None:
    assert describe_commit(tmp_path) is None
