"""The word list: what it finds, what it allows, and which files it reads."""

from pathlib import Path

import pytest

from tools.word_list import ROOT, find_files, find_words, main


def words(text: str) -> list[str]:
    return [word for _, word, _ in find_words(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nobody reads the queue", "nobody"),
        ("a job that is nobody's", "nobody's"),
        ("def test_somebody_who_leaves() -> None:", "somebody"),
        ("Whoever asked has it", "Whoever"),
        ("whatever is left of it", "whatever is"),
        ("it is read anew", "anew"),
        ("NOT IN, lest the planner", "lest"),
        ("kept for ever", "for ever"),
        ("takes_for_ever", "for_ever"),
        ("Meanwhile, requests get 503", "Meanwhile"),
        ("worker.practise()", "practise"),
        ("it writes what waits", "what waits"),
        ("the way back is named first", "the way back"),
        ("SQL stands at the edge", "stands at"),
        ("its count stands still", "stands still"),
        ("one file a room", "room"),
        ("what other rooms may know", "rooms"),
        ("def test_a_room_touches_its_own_tables() -> None:", "room"),
    ],
)
def test_word_list_finds_a_word(text: str, found: str) -> None:
    assert words(text) == [found]


@pytest.mark.parametrize(
    "text",
    [
        'pwd.getpwnam("nobody")',
        "Postgres then runs as `nobody`.",
        "user nobody cannot reach the data directory",
        "| package | a folder of src/faas | `room` |",
        "alloc(2) returned 65535, which leaves no room for 2 bytes",
        "make room, start again",
        "self.headroom = 4",
        "the lesson; headroom; newest; whatever the reason",
        "hold_forever = True",
    ],
)
def test_word_list_allows_names_and_other_words(text: str) -> None:
    assert words(text) == []


def test_word_list_checks_quoted_sentences() -> None:
    assert words('raise ConfigurationError("there is nobody at a terminal")') == ["nobody"]


def test_word_list_counts_lines_from_one_and_says_what_to_write() -> None:
    assert list(find_words("fine\nread anew\n")) == [(2, "anew", "again")]


def test_word_list_reads_each_kind_of_file_but_no_applied_migration(tmp_path: Path) -> None:
    migrations = tmp_path / "sql" / "migrations"
    packages = tmp_path / "src" / "node_modules"
    for folder in (migrations, packages):
        folder.mkdir(parents=True)
    names = ["migrations/0001_functions.sql", "migrations/0005_more.sql", "0001_functions.sql", "a.wasm", "b.py"]
    for name in names:
        (tmp_path / "sql" / name).touch()
    (packages / "c.js").touch()
    assert {str(file.relative_to(tmp_path)) for file in find_files([tmp_path])} == {
        "sql/0001_functions.sql",
        "sql/b.py",
        "sql/migrations/0005_more.sql",
    }


def test_word_list_reads_this_project() -> None:
    files = set(find_files([ROOT / "src", ROOT / "sql", ROOT / "docs"]))
    assert ROOT / "src" / "faas" / "errors.py" in files
    assert ROOT / "sql" / "queries" / "executions.sql" in files
    assert ROOT / "docs" / "architecture.md" in files


def test_word_list_reports_file_line_word_and_advice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "page.md"
    page.write_text("# Page\n\nIt is read anew.\n")
    assert main([], root=tmp_path) == 1
    assert capsys.readouterr().err == "docs/page.md:3: 'anew': write instead: again\n"
    page.write_text("# Page\n\nIt is read again.\n")
    assert main([], root=tmp_path) == 0
    assert capsys.readouterr().err == ""


def test_word_list_refuses_a_missing_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "missing")]) == 2
    assert "no such file" in capsys.readouterr().err
