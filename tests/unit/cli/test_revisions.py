"""Tests of the list of revisions, and of the diff of two."""

import base64
import hashlib
import json
from typing import Any

import pytest
from click.testing import CliRunner

from faas.cli.client import Client
from faas.cli.revisions import diff, revisions


class Answer:
    """The response with a revision."""

    def __init__(self, revision: dict[str, Any]) -> None:
        self._revision = revision

    def json(self) -> dict[str, Any]:
        return self._revision


def diff_of(monkeypatch: pytest.MonkeyPatch, old: dict[str, Any], new: dict[str, Any]) -> dict[str, str]:
    """Return the output of `faas diff f 1 2 --json` for two revisions."""
    answers = {
        f"/functions/f/revisions/{number}": {"language": "wat", "settings": {}, **revision}
        for number, revision in ((1, old), (2, new))
    }
    monkeypatch.setattr(Client, "call", lambda _self, _method, path: Answer(answers[path]))
    result = CliRunner().invoke(diff, ["f", "1", "2", "--json"])
    assert result.exit_code == 0, result.output
    shown: dict[str, str] = json.loads(result.output)
    return shown


def test_diff_marks_a_missing_line_feed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = diff_of(monkeypatch, {"source": "a\nb"}, {"source": "a\nb\n"})
    assert shown["source"].splitlines()[2:] == ["@@ -1,2 +1,2 @@", " a", "-b", "\\ No newline at end of file", "+b"]


def test_diff_ends_lines_at_line_feeds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = diff_of(monkeypatch, {"source": "a\r\n\u2028b\x0cc\n"}, {"source": "a\r\n\u2028b\x0cd\n"})
    assert shown["source"].split("\n")[3:6] == [" a\r", "-\u2028b\x0cc", "+\u2028b\x0cd"]


def test_diff_describes_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    module = b"\0asm\1\0\0\0"
    old = {"language": "wasm", "source": base64.b64encode(module).decode()}
    shown = diff_of(monkeypatch, old, {"source": "(module)\n"})
    digest = hashlib.sha256(module).hexdigest()
    assert f"-module of 8 bytes, SHA-256 {digest}\n" in shown["source"]
    assert shown["settings"].endswith("-language=wasm\n+language=wat\n")


def test_diff_of_equal_revisions_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    assert diff_of(monkeypatch, {"source": "a"}, {"source": "a"}) == {"settings": "", "source": ""}


def test_revisions_shows_why_one_is_on_an_older_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    revision = {"status": "READY", "live": True, "createdAt": "2026-11-26T10:00:00Z", "language": "python"}
    shown = [
        revision | {"revision": 2, "settings": {}, "compileError": None, "upgradeError": "SyntaxError: no\nline 1"},
        revision | {"revision": 1, "settings": {}, "compileError": "no such name", "upgradeError": None},
    ]
    monkeypatch.setattr(Client, "pages", lambda _self, _path, _limit: shown)
    result = CliRunner().invoke(revisions, ["f"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    second, first = [line.rstrip() for line in result.output.splitlines()[2:]]
    assert second.endswith("on an older engine: SyntaxError: no")
    assert first.endswith("no such name")
