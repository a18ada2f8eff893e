"""Check the project's text for words that hide who does what to what (CONTRIBUTING.md, "Code and words").

    python -m tools.word_list            every checked file of the project
    python -m tools.word_list PATH…      these files and folders

Prints one line for each place: file, line, the word, what to write instead. Exit code 0: there is none. 1: there is at
least one. 2: a path does not exist.

Three kinds of places are allowed, by rule and not by file:

- A word alone between quotes or backquotes is a name: the Unix user `nobody`, a term that the glossary rejects.
- So is "user nobody", in messages to operators.
- "room" is allowed as space ("no room for 4 bytes"), not as the name of a package.

Applied migrations are not read, because they must stay as they are, byte for byte. This file, its test and the test of
test names contain the words and are not read either. Only the standard library is used, so that CI works before
`make setup` has run.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
CHECKED = (
    ".github", "bench", "docs", "examples", "packaging", "sql", "src", "tests", "tools", ".pre-commit-config.yaml",
    "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "README.md", "SECURITY.md", "mkdocs.yml", "pyproject.toml",
)  # fmt: skip
SUFFIXES = frozenset({
    ".c", ".css", ".h", ".html", ".js", ".lua", ".md", ".mjs", ".py", ".service", ".sql", ".toml", ".ts", ".wat",
    ".yaml", ".yml",
})  # fmt: skip
NAMES = frozenset({"Dockerfile", "Makefile"})
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__"})
APPLIED_MIGRATIONS = frozenset({
    "0001_functions.sql", "0002_executions.sql", "0003_queues.sql", "0004_failed_executions.sql", "0005_revisions.sql",
    "0006_retention.sql", "0007_access.sql", "0008_reach.sql", "0009_secrets.sql",
})  # fmt: skip
ABOUT_THE_WORDS = frozenset({"word_list.py", "test_test_suite.py", "test_word_list.py"})


class Word(NamedTuple):
    """A pattern, and what to write instead of what it matches."""

    pattern: re.Pattern[str]
    instead: str


class Place(NamedTuple):
    """A word in a file."""

    path: Path
    line: int
    text: str
    instead: str


def _word(pattern: str, instead: str) -> Word:
    # An underscore separates words, so that names are checked too: test_nobody_waits.
    return Word(re.compile(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])", re.IGNORECASE), instead)


WORDS = (
    _word(r"(?<!user )nobody(?:'s)?", "say who does not: no client, no process, no consumer"),
    _word(r"somebody(?:'s)?|anybody(?:'s)?", "say who: the client, another process, the caller"),
    _word(r"who(?:so)?ever", "say who: the caller, the process that holds the lock"),
    _word(r"whatever[ _]is", "name what it is"),
    _word(r"anew", "again"),
    _word(r"lest", "so that … not"),
    _word(r"for[ _]ever", "indefinitely, permanently, never ends"),
    _word(r"meanwhile", "say during what: while the database is down"),
    _word(r"practis(?:e[sd]?|ing)", "warm up"),
    _word(r"what[ _]waits", "name it: queued messages, waiting executions"),
    _word(r"(?:the|a|no|its)[ _]way[ _]back", "restore, rollback, response"),
    _word(r"(?:stands|stood)[ _](?:at|still)", "is, is stored at, does not advance"),
    _word(
        r"rooms|(?<!\bno )(?<!\bmake )(?<!\benough )(?<!\bmore )room(?! for\b)(?! left\b)",
        "package; space, if it is that",
    ),
)
_ALONE = re.compile(r"`[^`\s]+`|\"[^\"\s]+\"|'[^'\s]+'")


def find_words(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield each forbidden word in `text`: the line's number from 1, the word as written, what to write instead."""
    for number, line in enumerate(text.splitlines(), 1):
        for word in WORDS:
            for match in word.pattern.finditer(line):
                if not _is_name(line, match):
                    yield number, match[0], word.instead


def _is_name(line: str, match: re.Match[str]) -> bool:
    """Return whether the match is all that a pair of quotes or backquotes contains."""
    return any(
        quoted.start() + 1 == match.start() and quoted.end() - 1 == match.end() for quoted in _ALONE.finditer(line)
    )


def find_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the checked files among and below `paths`, without following symbolic links of folders."""
    for path in paths:
        if path.is_dir():
            if path.name not in SKIPPED_FOLDERS and not path.is_symlink():
                yield from find_files(sorted(path.iterdir()))
        elif (path.suffix in SUFFIXES or path.name in NAMES) and not _is_exempt(path):
            yield path


def _is_exempt(path: Path) -> bool:
    if path.name in APPLIED_MIGRATIONS:
        return path.parent.name == "migrations"
    return path.name in ABOUT_THE_WORDS


def find_places(paths: Iterable[Path]) -> Iterator[Place]:
    """Yield every forbidden word in the checked files among and below `paths`. Raises OSError."""
    for path in find_files(paths):
        for line, text, instead in find_words(path.read_text("utf-8")):
            yield Place(path, line, text, instead)


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Check what `arguments` name, or the whole project, and return the exit code."""
    named = sys.argv[1:] if arguments is None else arguments
    paths = [Path(name) for name in named] or [root / name for name in CHECKED if (root / name).exists()]
    if missing := [path for path in paths if not path.exists()]:
        sys.stderr.write(f"word list: no such file or folder: {missing[0]}\n")
        return 2
    places = list(find_places(paths))
    for place in places:
        path = place.path.relative_to(root) if place.path.is_relative_to(root) else place.path
        sys.stderr.write(f"{path}:{place.line}: {place.text!r}: write instead: {place.instead}\n")
    return 1 if places else 0


if __name__ == "__main__":
    sys.exit(main())
