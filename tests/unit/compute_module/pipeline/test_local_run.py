"""Runs from file to file: order, duplicates, formats, and the partial output of a run that ends early."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from faas.compute_module.errors import EnrichmentFailed, FailedFast, InvalidTable
from faas.compute_module.pipeline.enrichers.enricher import Enrichment
from faas.compute_module.pipeline.enrichers.static import StaticEnricher
from faas.compute_module.pipeline.local_run import run_local
from faas.compute_module.pipeline.rows import Row
from faas.compute_module.pipeline.run_progress import RunProgress
from faas.compute_module.pipeline.table import read_rows
from faas.compute_module.settings import RunSettings
from faas.errors import ConfigurationError
from tests.helpers.compute_module import virtual_time


class Slow:
    """Takes longer for earlier addresses and fails for those that contain `bad`."""

    model = "slow"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.running = self.most = 0

    async def enrich(self, email: str) -> Enrichment:
        self.asked.append(email)
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(10 / len(self.asked))
        self.running -= 1
        if "bad" in email:
            raise EnrichmentFailed("refused with key=hush\nsecond line")
        return Enrichment(company=email.upper())

    async def aclose(self) -> None:
        pass


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "in.csv", tmp_path / "out.csv"


def run(source: Path, target: Path, enricher: Any = None, **settings: Any) -> RunProgress:
    progress = RunProgress()
    virtual_time.run(run_local(source, target, enricher or Slow(), RunSettings(**settings), progress))
    return progress


def rows(path: Path) -> list[Row]:
    return list(read_rows(path, "out"))


def test_local_run_writes_one_row_for_each_input_row_in_input_order(paths: tuple[Path, Path]) -> None:
    source, target = paths
    source.write_text("id,email\n1,a@x\n2, b@x \n3,\n4,a@x\n5,A@x\n6,bad@x\n")
    enricher = Slow()
    progress = run(source, target, enricher)
    assert [(row.email, row.company, row.status) for row in rows(target)] == [
        ("a@x", "A@X", "ok"),
        ("b@x", "B@X", "ok"),
        ("", "", "error"),
        ("a@x", "A@X", "ok"),
        ("A@x", "A@X", "ok"),
        ("bad@x", "", "error"),
    ]
    assert enricher.asked == ["a@x", "b@x", "A@x", "bad@x"]
    assert progress.summary().startswith("rows=6 unique=4 cached=0 ok=3 error=2 seconds=")
    assert progress.written == f"6 rows to {target}"


def test_local_run_error_rows_are_one_line_without_secrets_and_keep_the_model(paths: tuple[Path, Path]) -> None:
    source, target = paths
    source.write_text("email\nbad@x\n")
    run(source, target)
    assert rows(target) == [
        Row(email="bad@x", status="error", error="refused with key=[redacted] second line", model="slow")
    ]


@pytest.mark.parametrize("workers", [1, 3, 50])
def test_workers_are_limited_to_their_number(paths: tuple[Path, Path], workers: int) -> None:
    source, target = paths
    source.write_text("email\n" + "".join(f"{number}@x\n" for number in range(20)))
    enricher = Slow()
    run(source, target, enricher, workers=workers)
    assert enricher.most == min(workers, 20)


def test_local_run_reads_and_writes_json_lines_by_extension(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.ndjson"
    source.write_text('{"email": "a@x"}\n{"email": ""}\n')
    run(source, target)
    records = [json.loads(line) for line in target.read_text().splitlines()]
    assert [record["status"] for record in records] == ["ok", "error"]
    run(target.rename(tmp_path / "again.jsonl"), tmp_path / "out.csv")
    assert [row.company for row in rows(tmp_path / "out.csv")] == ["A@X", ""]


def test_local_run_json_lines_may_begin_with_a_line_without_an_address(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.csv"
    source.write_text('{"name":"x"}\n{"email":"a@x.com"}\n')
    run(source, target)
    assert [(row.email, row.status, row.error) for row in rows(target)] == [
        ("", "error", "empty email"),
        ("a@x.com", "ok", ""),
    ]


def test_local_run_input_and_output_may_be_the_same_file(paths: tuple[Path, Path]) -> None:
    source, _ = paths
    source.write_text("email\na@x\n")
    run(source, source)
    run(source, source)
    assert [row.email for row in rows(source)] == ["a@x"]


def test_local_run_fail_fast_keeps_the_finished_rows(paths: tuple[Path, Path]) -> None:
    source, target = paths
    source.write_text("email\na@x\nb@x\nbad@x\nc@x\n")
    progress = RunProgress()
    with pytest.raises(FailedFast, match=r"refused with key=\[redacted\]"):
        virtual_time.run(run_local(source, target, Slow(), RunSettings(fail_fast=True, workers=1), progress))
    assert not target.exists()
    partial = target.with_name("out.csv.partial")
    assert progress.written == f"2 finished rows to {partial}"
    assert [row.email for row in rows(partial)] == ["a@x", "b@x"]


def test_local_run_cancelled_keeps_the_finished_rows(paths: tuple[Path, Path]) -> None:
    source, target = paths
    source.write_text("email\n" + "".join(f"{number}@x\n" for number in range(100)))
    progress = RunProgress()
    enough = asyncio.Event()

    class Counting(Slow):
        async def enrich(self, email: str) -> Enrichment:
            if len(self.asked) == 5:
                enough.set()
            return await super().enrich(email)

    async def main() -> None:
        task = asyncio.create_task(run_local(source, target, Counting(), RunSettings(workers=1), progress))
        await enough.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    virtual_time.run(main())
    assert progress.ok == 5
    assert progress.written == f"5 finished rows to {target}.partial"
    assert not target.exists()


@pytest.mark.parametrize("content", ["", "mail\nx\n", 'email\n"x\n', "a,email\n1\n"])
def test_local_run_invalid_table_enriches_and_writes_nothing(paths: tuple[Path, Path], content: str) -> None:
    source, target = paths
    source.write_text(content)
    enricher = Slow()
    with pytest.raises(InvalidTable):
        run(source, target, enricher)
    assert enricher.asked == []
    assert list(source.parent.iterdir()) == [source]


def test_local_run_files_that_cannot_be_opened_are_configuration_errors(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("email\na@x\n")
    with pytest.raises(ConfigurationError, match=r"--input .*none.csv: No such file"):
        run(tmp_path / "none.csv", tmp_path / "out.csv")
    with pytest.raises(ConfigurationError, match=r"--input .*: Is a directory"):
        run(tmp_path, tmp_path / "out.csv")
    with pytest.raises(ConfigurationError, match=r"--output .*out.csv: No such file"):
        run(tmp_path / "in.csv", tmp_path / "no" / "out.csv")
    with pytest.raises(ConfigurationError, match=r"--output .*: is a folder"):
        run(tmp_path / "in.csv", tmp_path)


def test_static_enricher_is_deterministic(paths: tuple[Path, Path]) -> None:
    source, target = paths
    source.write_text("email\njane.doe+x@acme-corp.example\nno-at-sign\n@\n")
    run(source, target, StaticEnricher())
    first = target.read_bytes()
    assert rows(target)[0] == Row(
        email="jane.doe+x@acme-corp.example",
        linkedin_url="https://www.linkedin.com/in/jane-doe-x",
        company="Acme Corp",
        title="Employee",
        description="Jane Doe X of Acme Corp",
        confidence="low",
        status="ok",
        model="static",
    )
    run(source, target, StaticEnricher())
    assert target.read_bytes() == first
