"""Tests of the diff of two revisions."""

import base64
import hashlib
import json
from typing import Any

import pytest
from click.testing import CliRunner

from faas.cli.client import Client
from faas.cli.revisions import diff


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
