"""The command `faas execution`: the record of one execution."""

from typing import Any
from urllib.parse import quote

import click

from faas.cli.client import Client, function_path, server_options
from faas.cli.output import NO_VALUE, ago, milliseconds, print_document, print_fields, print_text, raw_members
from faas.cli.sources import read_text_argument
from faas.errors import ConfigurationError


@click.command()
@click.argument("execution_id", metavar="ID")
@server_options
def execution(execution_id: str, client: Client, as_json: bool) -> None:
    """Show the execution ID: its input, requests, logs, and its output or error.

    `faas executions NAME` lists the ids. An HTTP endpoint answers with them in Faas-Execution-Id.
    """
    if not execution_id:
        raise ConfigurationError("the id is empty")
    response = client.call("GET", f"/executions/{quote(read_text_argument(execution_id, 'the id'), safe='')}")
    if as_json:
        print_document(response.text)
        return
    record = response.json()
    print_fields(
        {
            "id": record["id"],
            "function": _function_name(client, record["functionId"]),
            "revision": str(record["revision"]),
            "status": record["status"],
            "started": f"{record['startedAt']} ({ago(record['startedAt'])})",
            "duration": milliseconds(record["durationMs"]),
            "by": record.get("invokedBy") or NO_VALUE,
        }
    )
    if record["payloadsExpired"]:
        click.echo("\nInput, output, logs and requests are no longer kept.")
    documents = raw_members(response.text)
    _print_section("input", documents["input"] if record["input"] is not None else None)
    _print_section("requests", "\n".join(map(_describe_request, record["requests"] or ())))
    _print_section("logs", record["logs"])
    _print_section("error", record["errorMessage"])
    _print_section("output", documents["output"] if record["output"] is not None else None)


COMMANDS: dict[str, click.Command] = {"execution": execution}


def _function_name(client: Client, function_id: str) -> str:
    """Return the name of the function, or its id where there is none to see."""
    response = client.call("GET", function_path(function_id), accept=(403, 404))
    return function_id if response.is_error else str(response.json()["name"])


def _describe_request(request: dict[str, Any]) -> str:
    answer = request["error"] if request["status"] is None else request["status"]
    return f"{request['method']} {request['url']}: {answer}, {milliseconds(request['milliseconds'])}"


def _print_section(title: str, text: str | None) -> None:
    """Print a text below its title, or nothing where there is none."""
    if text:
        click.echo(f"\n{click.style(title, bold=True)}")
        print_text(text.rstrip("\n"))
