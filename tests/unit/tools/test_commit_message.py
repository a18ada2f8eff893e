"""The check of commit messages: which messages pass, and which commits of a repository are checked."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import commit_message

WELL_FORMED = "Bound the memory of unwritten outcomes\n\nAn outage of an hour filled it.\n"

MALFORMED = {
    "long subject": (f"Add {'x' * 69}\n\nWhy.", "the subject has 73 characters; at most 72 are accepted"),
    "lower case": ("add a limit\n\nWhy.", "begins with 'add'"),
    "noun phrase": ("The limit of the queue\n\nWhy.", "begins with 'The'"),
    "name": ("FAAS_LANGUAGES limits languages\n\nWhy.", "begins with 'FAAS_LANGUAGES'"),
    "past tense": ("Added a limit\n\nWhy.", "use the imperative"),
    "third person": ("Adds a limit\n\nWhy.", "use the imperative"),
    "gerund": ("Adding a limit\n\nWhy.", "use the imperative"),
    "period": ("Add a limit.\n\nWhy.", "ends with a period"),
    "semicolon": ("Add a limit; remove a timer\n\nWhy.", "contains a semicolon"),
    "no blank line": ("Add a limit\nWhy.", "the second line is not blank"),
    "no body": ("Add a limit\n", "there is no body"),
    "blank body": ("Add a limit\n\n  \n", "there is no body"),
    "empty": ("", "the subject is empty"),
}


@pytest.mark.parametrize(
    "message",
    [
        WELL_FORMED,
        f"Add {'x' * 68}\n\nWhy.",
        "Pass the deadline to the guest\n\nWhy.",
        "Re-lock the development packages\n\nWhy.",
        'Revert "Add a limit; remove a timer."\n\nThis reverts commit 1234567.',
        "Merge branch 'main' into feature",
    ],
)
def test_find_problems_accepts_well_formed_messages(message: str) -> None:
    assert commit_message.find_problems(message) == []


@pytest.mark.parametrize("name", MALFORMED)
def test_find_problems_names_what_is_wrong(name: str) -> None:
    message, problem = MALFORMED[name]
    assert problem in "\n".join(commit_message.find_problems(message))


def test_hook_ignores_comments_and_the_verbose_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "COMMIT_EDITMSG"
    comments = "# Please enter the commit message.\n"
    diff = "# ------------------------ >8 ------------------------\n# Do not modify\ndiff --git a/x b/x\n"
    file.write_text(WELL_FORMED + comments + diff)
    assert commit_message.main([str(file)]) == 0
    file.write_text("Add a limit\n" + comments + diff)
    assert commit_message.main([str(file)]) == 1
    assert "'Add a limit': there is no body" in capsys.readouterr().err


def test_hook_accepts_commits_that_will_be_squashed_and_a_range_does_not(
    repository: Path, commit: Callable[[str], str], tmp_path: Path
) -> None:
    file = tmp_path / "COMMIT_EDITMSG"
    file.write_text("fixup! Add a limit\n")
    assert commit_message.main([str(file)]) == 0
    commit("fixup! Add a limit")
    assert commit_message.main(["--range", "HEAD^..HEAD"], repository) == 1


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a malformed commit, then the one that adds the check."""
    root = tmp_path / "repository"
    (root / "tools").mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    git(root, "commit", "-q", "--allow-empty", "-m", "from before the check; not checked")
    (root / commit_message.SCRIPT).write_text("")
    git(root, "add", commit_message.SCRIPT)
    git(root, "commit", "-q", "-m", WELL_FORMED)
    return root


@pytest.fixture
def commit(repository: Path) -> Callable[[str], str]:
    """Return a function that makes an empty commit with a message and returns its abbreviated hash."""

    def make(message: str) -> str:
        git(repository, "commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", message)
        return git(repository, "rev-parse", "--short", "HEAD").strip()

    return make


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_commits_before_the_check_are_not_checked(repository: Path, commit: Callable[[str], str]) -> None:
    commit(WELL_FORMED)
    assert commit_message.main([], repository) == 0


def test_every_commit_after_the_check_is_checked(
    repository: Path, commit: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    malformed = commit("No body")
    (repository / commit_message.SCRIPT).write_text("changed later\n")
    git(repository, "commit", "-q", "-a", "-m", WELL_FORMED)
    assert commit_message.main([], repository) == 1
    output = capsys.readouterr()
    assert output.out == "commit messages: 3 to check\n"
    assert {line.split()[0] for line in output.err.splitlines()} == {malformed}


def test_range_selects_the_commits(
    repository: Path, commit: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    commit("No body")
    commit(WELL_FORMED)
    assert commit_message.main(["--range", "HEAD^..HEAD"], repository) == 0
    assert commit_message.main(["--range", "HEAD~2..HEAD"], repository) == 1
    with pytest.raises(SystemExit, match="2"):
        commit_message.main(["--range", "missing..HEAD"], repository)
    assert "missing" in capsys.readouterr().err


@pytest.mark.parametrize(("depth", "code"), [(1, 0), (2, 1)])
def test_shallow_clone_checks_the_commits_it_has(
    repository: Path, commit: Callable[[str], str], tmp_path: Path, depth: int, code: int
) -> None:
    commit("No body")
    commit(WELL_FORMED)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", f"--depth={depth}", repository.as_uri(), str(clone))
    assert len(commit_message.commits_of(commit_message.revisions_since_the_check(clone), clone)) == depth
    assert commit_message.main([], clone) == code


def test_source_archive_without_history_passes_and_says_so(
    repository: Path, commit: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit("No body")
    archive = repository / "unpacked"  # inside another repository, whose history is not the archive's
    (archive / "tools").mkdir(parents=True)
    (archive / commit_message.SCRIPT).write_text("")
    assert commit_message.main([], archive) == 0
    assert "not a Git working tree" in capsys.readouterr().out
