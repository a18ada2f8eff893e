"""The two halves together: a deployed function, really compiled and served, mapped over a table."""

import asyncio
import csv
import os
import sys
from pathlib import Path

from tests.helpers.server import Server

EXAMPLES = Path(__file__).parents[3] / "examples"


async def faas(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "faas",
        *arguments,
        env={"PATH": os.environ["PATH"], **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode or 0, output.decode(), errors.decode()


async def test_function_enricher_enriches_a_table(server: Server, tmp_path: Path) -> None:
    place = {"FAAS_URL": server.url}
    code, _, errors = await faas("deploy", str(EXAMPLES / "compute-module" / "enrich.ts"), environment=place)
    assert code == 0, errors

    table, result = tmp_path / "in.csv", tmp_path / "out.csv"
    table.write_text(
        "id,email\n1,ada.lovelace@analytical.example\n2,no-at-sign\n3,\n4,ada.lovelace@analytical.example\n"
    )
    code, output, errors = await faas(
        "pipeline", "local", "--input", str(table), "--output", str(result),
        "--enricher", "function", "--function", "enrich", environment=place,
    )  # fmt: skip
    assert code == 0, errors
    assert output.startswith("rows=4 unique=2 cached=0 ok=1 error=2 ")
    with result.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["ok", "error", "error", "ok"]
    assert rows[0] == {
        "email": "ada.lovelace@analytical.example",
        "linkedin_url": "",
        "company": "Analytical",
        "title": "Employee",
        "description": "Ada of Analytical",
        "confidence": "medium",
        "status": "ok",
        "error": "",
        "model": "enrich",
        "sources": "",
        "web_search_queries": "",
    }
    # a FAILED execution is an error row with the function's own words, and was not tried again
    assert "not an address" in rows[1]["error"]
    assert rows[1]["model"] == "enrich"
    code, output, errors = await faas("executions", "enrich", "--json", environment=place)
    assert output.count('"FAILED"') == 1
    assert output.count('"COMPLETED"') == 1


async def test_function_enricher_reports_a_missing_function_in_every_row(small_server: Server, tmp_path: Path) -> None:
    table, result = tmp_path / "in.csv", tmp_path / "out.jsonl"
    table.write_text("email\na@x.io\n")
    options = ["--input", str(table), "--output", str(result), "--enricher", "function", "--function", "none"]
    code, _, _ = await faas("pipeline", "local", *options, environment={"FAAS_URL": small_server.url})
    assert code == 0
    assert "the faas server answered 404: no function has the id or name 'none'" in result.read_text()
    code, _, errors = await faas(
        "pipeline", "local", *options, "--fail-fast", environment={"FAAS_URL": small_server.url}
    )
    assert code == 1
    assert errors.strip().splitlines()[-1].startswith("faas: stopped at the first error, as --fail-fast asks: ")
