"""`faas run` where a process of the platform fails."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from faas.cli import run
from faas.errors import FaasError
from faas.sandbox import WorkerDied


def test_run_says_in_one_line_that_a_worker_process_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def die(*_: object) -> None:
        raise WorkerDied("javascript snapshots ended: exit code -9; no message")

    source = tmp_path / "f.js"
    source.write_text("export const handle = () => 1;")
    monkeypatch.setattr(run, "_execute", die)
    monkeypatch.setattr("faas.logs.configure", lambda *_: None)  # it is that of this test process, too
    raised = CliRunner().invoke(run.run, [str(source)]).exception
    assert isinstance(raised, FaasError)  # whose message is printed, without a traceback
    assert str(raised) == "javascript snapshots ended: exit code -9; no message; try again"
