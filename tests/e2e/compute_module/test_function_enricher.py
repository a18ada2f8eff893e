"""The two halves together: a deployed function, really compiled and served, mapped over a table."""

import asyncio
import csv
import os
import sys
from pathlib import Path

import msgspec

from tests.helpers.echo_server import echo_server
from tests.helpers.server import Server

EXAMPLES = Path(__file__).parents[3] / "examples"


async def faas(*arguments: str, environment: dict[str, str] | None = None, given: str = "") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "faas",
        *arguments,
        env={"PATH": os.environ["PATH"], **(environment or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(given.encode()), 120)
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


LOOKS_UP = """export async function handle({ email }) {
  const response = await fetch(`${process.env.SERVICE}/people?email=${encodeURIComponent(email)}`, {
    headers: { authorization: `Bearer ${process.env.SERVICE_KEY}` },
  });
  const { query, headers } = await response.json();
  return { title: query.email, description: headers.authorization, company: process.env.SERVICE_KEY };
}"""


async def test_function_enricher_has_the_settings_of_the_function(server: Server, tmp_path: Path) -> None:
    place = {"FAAS_URL": server.url}
    source, table, result = tmp_path / "look-up.js", tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(LOOKS_UP)
    table.write_text("email\nada@analytical.example\n")
    with echo_server() as service:
        settings = ("--host", service, "--function", "look-up")
        code, _, errors = await faas("secret", "set", "SERVICE_KEY", *settings, environment=place, given="sk_live_1")
        assert code == 0, errors
        code, _, errors = await faas(
            "deploy", str(source), "--env", f"SERVICE={service}", "--secret", "SERVICE_KEY", "--outbound", service,
            environment=place,
        )  # fmt: skip
        assert code == 0, errors
        code, output, errors = await faas(
            "pipeline", "local", "--input", str(table), "--output", str(result),
            "--enricher", "function", "--function", "look-up", environment=place,
        )  # fmt: skip
        assert code == 0, errors
    with result.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["status"], row["title"]) == ("ok", "ada@analytical.example"), row["error"]
    # The service got the key, and the function has its placeholder, also in what the service sent back.
    assert row["description"] == f"Bearer {row['company']}"
    assert "sk_live_1" not in result.read_text() + output + errors
    code, output, errors = await faas("executions", "look-up", "--json", environment=place)
    assert code == 0, errors
    (execution,) = msgspec.json.decode(output)
    code, output, errors = await faas("execution", execution["id"], "--json", environment=place)
    assert code == 0, errors
    (request,) = msgspec.json.decode(output)["requests"]
    assert (request["url"], request["status"]) == (f"{service}/people", 200)


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
