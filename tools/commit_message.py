"""Check commit messages against the project's style (CONTRIBUTING.md, "Commits").

    python -m tools.commit_message FILE                 the message in FILE (as a commit-msg hook)
    python -m tools.commit_message --range BASE..HEAD   every commit of a range
    python -m tools.commit_message                      every commit from the one that added this check

Exit code 0: every message is well formed, or there is no Git history. 1: at least one is not. 2: a usage or Git error.

Only the standard library is used, so that the hook and CI work before `make setup` has run.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SUBJECT_LIMIT = 72  # characters
ROOT = Path(__file__).parent.parent
SCRIPT = "tools/commit_message.py"

_WRITTEN_BY_GIT = re.compile(r'(Merge |Revert ")')
_TO_BE_SQUASHED = re.compile(r"(fixup|squash|amend)! ")  # fine in a commit hook, not in published history
# Capitalized words that begin a subject and are not an imperative verb.
_NOT_A_VERB = frozenset({
    "A", "All", "An", "And", "As", "At", "Before", "Each", "Every", "For", "From", "If", "In", "It", "Its", "Never",
    "New", "No", "Not", "Nothing", "Of", "On", "One", "Our", "Some", "That", "The", "These", "This", "Those", "To",
    "Two", "We", "What", "When", "Where", "Whether", "With", "Without",
})  # fmt: skip
# Imperative verbs with the ending of a past tense, a third person or a gerund.
_IMPERATIVE = frozenset({
    "Address", "Assess", "Bring", "Bypass", "Compress", "Discuss", "Embed", "Exceed", "Express", "Feed", "Focus",
    "Need", "Pass", "Press", "Proceed", "Process", "Seed", "Shed", "Speed", "Stress", "Suppress",
})  # fmt: skip
_OTHER_FORM = re.compile(r"[A-Z][a-z]*(ed|ing|s)")
_SCISSORS = "# ------------------------ >8 ------------------------"


class Commit(NamedTuple):
    """A commit's abbreviated hash, or the file that its message is in, and the whole message."""

    label: str
    message: str


def find_problems(message: str) -> list[str]:
    """Return what is wrong with a commit message, one text for each problem; an empty list if it is well formed."""
    lines = message.strip("\n").split("\n")
    subject = lines[0]
    if _WRITTEN_BY_GIT.match(subject):
        return []
    problems = _find_subject_problems(subject)
    if len(lines) > 1 and lines[1].strip():
        problems.append("the second line is not blank: separate the subject from the body")
    if not any(line.strip() for line in lines[1:]):
        problems.append("there is no body: say why the change is made, after a blank line")
    return problems


def _find_subject_problems(subject: str) -> list[str]:
    if not subject.strip():
        return ["the subject is empty"]
    problems = []
    if len(subject) > SUBJECT_LIMIT:
        problems.append(f"the subject has {len(subject)} characters; at most {SUBJECT_LIMIT} are accepted")
    word = subject.split(maxsplit=1)[0].rstrip(",:")
    if not re.fullmatch(r"[A-Z][a-z]+(-[a-z]+)*", word) or word in _NOT_A_VERB:
        problems.append(f"the subject begins with {word!r}: begin with a capitalized imperative verb, as in 'Add …'")
    elif _OTHER_FORM.fullmatch(word) and word not in _IMPERATIVE:
        problems.append(f"the subject begins with {word!r}: use the imperative, 'Add' for 'Added', 'Adds' and 'Adding'")
    if subject.endswith("."):
        problems.append("the subject ends with a period")
    if ";" in subject:
        problems.append("the subject contains a semicolon: make one commit for each change")
    return problems


def without_comments(text: str) -> str:
    """Return the message that Git stores for the text of an editor: without comments and the `--verbose` diff."""
    text = text.partition(_SCISSORS)[0]
    return "\n".join(line for line in text.splitlines() if not line.startswith("#")).strip("\n")


def commits_of(revisions: list[str], root: Path = ROOT) -> list[Commit]:
    """Return the commits that `git log` shows for `revisions`, without merges. Raises CalledProcessError."""
    output = _git(root, "log", "--no-merges", "--format=%h%x00%B%x00%x00", *revisions, "--")
    entries = (entry.strip("\n").split("\0", 1) for entry in output.split("\0\0") if entry.strip("\n"))
    return [Commit(label, message) for label, message in entries]


def revisions_since_the_check(root: Path = ROOT) -> list[str]:
    """Return arguments for `git log`: the commit that added this file and everything after it.

    A shallow clone may begin after that commit; Git then names the oldest commit of the clone, so that all of the
    clone is checked. Empty where no commit has the file yet. Raises CalledProcessError.
    """
    added = _git(root, "log", "--diff-filter=A", "--format=%H", "--", SCRIPT).split()
    return ["HEAD", "--not", f"{added[-1]}^@"] if added else []


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, check=True, encoding="utf-8", errors="replace").stdout


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Check what `arguments` name and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.commit_message", description="Check commit messages.")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("file", nargs="?", type=Path, help="a file that contains one message, for a commit-msg hook")
    group.add_argument("--range", metavar="BASE..HEAD", help="check every commit of this range")
    options = parser.parse_args(arguments)
    if options.file:
        message = without_comments(options.file.read_text("utf-8", errors="replace"))
        return _report([] if _TO_BE_SQUASHED.match(message) else [Commit(str(options.file), message)])
    if not (root / ".git").exists():  # a file in a linked worktree
        sys.stdout.write(f"commit messages: not checked, {root} is not a Git working tree\n")
        return 0
    try:
        revisions = [options.range] if options.range else revisions_since_the_check(root)
        commits = commits_of(revisions, root) if revisions else []
    except subprocess.CalledProcessError as error:
        parser.error(error.stderr.strip())
    sys.stdout.write(f"commit messages: {len(commits)} to check\n")
    return _report(commits)


def _report(commits: list[Commit]) -> int:
    """Print every problem of `commits` on stderr and return the exit code."""
    found = [(commit, problem) for commit in commits for problem in find_problems(commit.message)]
    for commit, problem in found:
        subject = commit.message.strip().partition("\n")[0]
        sys.stderr.write(f"{commit.label} {subject!r}: {problem}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
