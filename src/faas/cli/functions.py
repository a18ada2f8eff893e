"""The commands for functions: invoke, list, get, delete, executions."""

import sys
from typing import Any

import click

from faas.cli.client import Client, ServerError, endpoint, function_path, server_options
from faas.cli.function_settings import describe_settings, is_public
from faas.cli.output import (
    NO_VALUE,
    ago,
    first_line,
    live_revision,
    milliseconds,
    print_document,
    print_fields,
    print_json,
    print_source,
    print_table,
    print_text,
    raw_members,
)
from faas.cli.sources import LANGUAGES, read_input
from faas.cli.terminal import for_cell
from faas.errors import ConfigurationError


@click.command()
@click.argument("name")
@click.option(
    "--input", "source", metavar="JSON|@FILE|-", default="{}", help="The input: a JSON object, a file, or stdin."
)
@server_options
def invoke(name: str, source: str, client: Client, as_json: bool) -> int:
    """Invoke the function NAME (or id) and print its output. NAME@N is its revision N, which may not be live.

    The logs of the execution go to stderr. Exits with 1 when the execution FAILED.
    """
    body = b'{"input":' + read_input(source) + b"}"
    response = client.call(
        "POST", function_path(name, "execute"), content=body, headers={"Content-Type": "application/json"}
    )
    execution = response.json()
    if as_json:
        print_document(response.text)
        return int(execution["status"] == "FAILED")
    try:
        logs = client.call("GET", f"/executions/{execution['id']}", accept=(404,)).json().get("logs")
    except ServerError as error:  # the execution is already complete
        logs = f"(the logs are not available: {error})"
    if logs:
        print_text(logs, dim=True, err=True)
    if execution["status"] == "FAILED":
        print_text(execution["errorMessage"], fg="red", err=True)
        return 1
    # The output is cut from the response, not encoded again, which preserves its numbers and key order.
    print_document(raw_members(response.text)["output"])
    return 0


@click.command("list")
@click.option("--status", type=click.Choice(["PENDING", "COMPILING", "READY", "FAILED"]))
@click.option("--language", type=click.Choice(LANGUAGES))
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@server_options
def list_functions(status: str | None, language: str | None, limit: int, client: Client, as_json: bool) -> None:
    """List the functions, newest first.

    LIVE is the revision that calls run, NEWEST the one of the last deploy, if it is another one.
    """
    functions = client.pages("/functions", limit, status=status, language=language)
    if as_json:
        print_json(functions)
    elif not functions:
        click.echo("no functions yet: faas deploy FILE", err=True)
    else:
        print_table(
            ["NAME", "STATUS", "LANGUAGE", "LIVE", "NEWEST", "UPDATED", "DESCRIPTION"],
            [
                (
                    function["name"],
                    function["status"],
                    function["language"],
                    str(live_revision(function) or "–"),
                    _newest(function),
                    ago(function["updatedAt"]),
                    first_line(function["latest"]["compileError"] or function["description"]),
                )
                for function in functions
            ],
        )


@click.command()
@click.argument("name")
@click.option("--source", "only_source", is_flag=True, help="Print only the source.")
@server_options
def get(name: str, only_source: bool, client: Client, as_json: bool) -> None:
    """Show the function NAME (or id) as its live revision is. NAME@N shows its revision N."""
    function = client.call("GET", function_path(name)).json()
    if only_source:
        print_source(function["source"])
    elif as_json:
        print_json(function)
    else:
        print_fields(
            {
                "name": function["name"],
                "id": function["id"],
                "status": function["status"],
                "language": function["language"],
                "contract": function.get("contract") or NO_VALUE,  # a server of an earlier version does not send it
                "revision": _revision(client, function, name),
                "endpoint": f"{endpoint(client, function['name'])} ({_access(function)})",
                "settings": " ".join(describe_settings(function["settings"])) or NO_VALUE,
                "created": f"{function['createdAt']} ({ago(function['createdAt'])})",
                "updated": f"{function['updatedAt']} ({ago(function['updatedAt'])})",
                "description": function["description"] or NO_VALUE,
            }
        )
        if function["compileError"]:
            print_text(f"\n{function['compileError']}")
        if function["language"] != "wasm":
            print_text(f"\n{function['source'].rstrip()}")


@click.command()
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@server_options
def delete(name: str, yes: bool, client: Client, as_json: bool) -> None:
    """Delete the function NAME (or id), its revisions and its executions."""
    if not yes and not (sys.stdin and sys.stdin.isatty()):
        raise ConfigurationError("confirmation needed but stdin is not a terminal; pass --yes")
    function = client.call("GET", function_path(name)).json()
    if not yes:
        click.confirm(f"Delete {for_cell(function['name'])} with its revisions and executions?", abort=True, err=True)
    client.call("DELETE", f"/functions/{function['id']}")
    if as_json:
        print_json({"deleted": function["id"]})
    else:
        print_text(f"{function['name']} deleted")


@click.command()
@click.argument("name")
@click.option("--status", type=click.Choice(["RUNNING", "COMPLETED", "FAILED"]))
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@server_options
def executions(name: str, status: str | None, limit: int, client: Client, as_json: bool) -> None:
    """List the executions of the function NAME (or id), newest first.

    BY is the name of the token that made the call, and there where one has.
    """
    found = client.pages(function_path(name, "executions"), limit, status=status)
    if as_json:
        print_json(found)
    elif not found:
        click.echo("no executions yet: faas invoke " + name, err=True)
    else:
        print_table(
            ["ID", "STATUS", "REV", "STARTED", "DURATION", "BY", "ERROR"],
            [
                (
                    execution["id"],
                    execution["status"],
                    str(execution["revision"]),
                    ago(execution["startedAt"]),
                    milliseconds(execution["durationMs"]),
                    execution.get("invokedBy") or NO_VALUE,  # a server of an earlier version does not send it
                    first_line(execution["errorMessage"]),
                )
                for execution in found
            ],
            optional="BY",
        )


COMMANDS: dict[str, click.Command] = {
    "invoke": invoke,
    "list": list_functions,
    "get": get,
    "delete": delete,
    "executions": executions,
}


def _newest(function: dict[str, Any]) -> str:
    """Return the number and the status of the newest revision, a dash if it is the live one."""
    latest = function["latest"]
    return "–" if latest["revision"] == live_revision(function) else f"{latest['revision']} {latest['status']}"


def _access(function: dict[str, Any]) -> str:
    return "public" if is_public(function["settings"]) else "not public"


def _revision(client: Client, function: dict[str, Any], name: str) -> str:
    """Return the number of the revision that is shown, whether it is live, and which one is newer."""
    number = str(function["revision"])
    if "@" in name:
        live = live_revision(client.call("GET", function_path(function["id"])).json())
    else:
        live = live_revision(function)
    if live is None:
        return f"{number}, none is live"
    shown = f"{number}, live" if live == function["revision"] else f"{number}, not live; revision {live} serves"
    newest = _newest(function)
    return shown if "@" in name or newest == "–" else f"{shown}; the newest is {newest}"
