"""The commands for functions: deploy, invoke, list, get, delete, executions."""

import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import msgspec

from faas.cli.client import Client, ServerError, server_options
from faas.cli.output import (
    ago,
    first_line,
    milliseconds,
    print_document,
    print_fields,
    print_json,
    print_source,
    print_table,
    print_text,
)
from faas.cli.sources import LANGUAGE_OF_EXTENSION, language_of, read_input, read_source, read_text_argument
from faas.cli.terminal import for_cell, for_display
from faas.errors import ConfigurationError

_UNCOMPILED = {"PENDING", "COMPILING"}
_POLL_INTERVAL_SECONDS = 0.1


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Name of the function.  [default: the file name without its extension]")
@click.option(
    "--language", type=click.Choice(list(LANGUAGE_OF_EXTENSION.values())), help="[default: by the file extension]"
)
@click.option("--description", help="Description of the function.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until the function is compiled.")
@click.option("--timeout", type=float, default=120, show_default=True, help="Maximum seconds to wait.")
@server_options
def deploy(
    file: Path,
    name: str | None,
    language: str | None,
    description: str | None,
    wait: bool,
    timeout: float,
    client: Client,
    as_json: bool,
) -> int:
    """Create a function from FILE, or update the function of that name.

    Prints the compiler's diagnostics and exits with 1 when FILE does not compile.
    """
    language = language or language_of(file)
    name = read_text_argument(name or file.stem, "--name" if name else f"the name {file.stem}")
    if description:
        description = read_text_argument(description, "--description")
    body: dict[str, str | None] = {
        "name": name,
        "language": language,
        "source": read_source(file, language),
    }
    body["description"] = description or _kept_description(client, name)
    response = client.call("POST", "/functions", json=body, accept=(409,))
    created = response.status_code == 201
    if not created:
        response = client.call("PUT", _path(body["name"]), json=body)
    function = response.json()
    if wait:
        function = _await_compiled(client, function, timeout)
    if as_json:
        print_json({key: value for key, value in function.items() if key != "source"})
    elif function["status"] == "FAILED":
        print_text(function["compileError"], err=True)
        print_text(f"{function['name']} does not compile (revision {function['revision']})", fg="red", err=True)
    else:
        done = "created" if created else "updated"
        state = click.style(function["status"], fg="green" if function["status"] == "READY" else "yellow")
        click.echo(f"{for_display(function['name'], sys.stdout)} {done}, revision {function['revision']}: {state}")
    return int(function["status"] == "FAILED")


@click.command()
@click.argument("name")
@click.option(
    "--input", "source", metavar="JSON|@FILE|-", default="{}", help="The input: a JSON object, a file, or stdin."
)
@server_options
def invoke(name: str, source: str, client: Client, as_json: bool) -> int:
    """Invoke the function NAME (or id) and print its output.

    The logs of the execution go to stderr. Exits with 1 when the execution FAILED.
    """
    body = b'{"input":' + read_input(source) + b"}"
    response = client.call("POST", _path(name, "execute"), content=body, headers={"Content-Type": "application/json"})
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
    print_document(_raw_output(response.text))
    return 0


@click.command("list")
@click.option("--status", type=click.Choice(["PENDING", "COMPILING", "READY", "FAILED"]))
@click.option("--language", type=click.Choice(list(LANGUAGE_OF_EXTENSION.values())))
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@server_options
def list_functions(status: str | None, language: str | None, limit: int, client: Client, as_json: bool) -> None:
    """List the functions, newest first."""
    functions = client.pages("/functions", limit, status=status, language=language)
    if as_json:
        print_json(functions)
    elif not functions:
        click.echo("no functions yet: faas deploy FILE", err=True)
    else:
        print_table(
            ["NAME", "STATUS", "LANGUAGE", "REV", "UPDATED", "DESCRIPTION"],
            [
                (
                    function["name"],
                    function["status"],
                    function["language"],
                    str(function["revision"]),
                    ago(function["updatedAt"]),
                    first_line(function["compileError"] or function["description"]),
                )
                for function in functions
            ],
        )


@click.command()
@click.argument("name")
@click.option("--source", "only_source", is_flag=True, help="Print only the source.")
@server_options
def get(name: str, only_source: bool, client: Client, as_json: bool) -> None:
    """Show the function NAME (or id)."""
    function = client.call("GET", _path(name)).json()
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
                "revision": str(function["revision"]),
                "created": f"{function['createdAt']} ({ago(function['createdAt'])})",
                "updated": f"{function['updatedAt']} ({ago(function['updatedAt'])})",
                "description": function["description"] or "–",
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
    """Delete the function NAME (or id) and its executions."""
    if not yes and not (sys.stdin and sys.stdin.isatty()):
        raise ConfigurationError("confirmation needed but stdin is not a terminal; pass --yes")
    function = client.call("GET", _path(name)).json()
    if not yes:
        click.confirm(f"Delete {for_cell(function['name'])} and all its executions?", abort=True, err=True)
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
    """List the executions of the function NAME (or id), newest first."""
    found = client.pages(_path(name, "executions"), limit, status=status)
    if as_json:
        print_json(found)
    elif not found:
        click.echo("no executions yet: faas invoke " + name, err=True)
    else:
        print_table(
            ["ID", "STATUS", "STARTED", "DURATION", "ERROR"],
            [
                (
                    execution["id"],
                    execution["status"],
                    ago(execution["startedAt"]),
                    milliseconds(execution["durationMs"]),
                    first_line(execution["errorMessage"]),
                )
                for execution in found
            ],
        )


class _Output(msgspec.Struct):
    output: msgspec.Raw


COMMANDS: dict[str, click.Command] = {
    "deploy": deploy,
    "invoke": invoke,
    "list": list_functions,
    "get": get,
    "delete": delete,
    "executions": executions,
}


def _path(name: str | None, *rest: str) -> str:
    """Return the path of a function. The name is quoted, since only the server validates it."""
    if not name:
        raise ConfigurationError("the name is empty")
    return "/".join(["/functions", quote(read_text_argument(name, f"the name {name}"), safe=""), *rest])


def _kept_description(client: Client, name: str) -> str | None:
    """Return the description of the existing function, which a deploy without --description keeps."""
    response = client.call("GET", _path(name), accept=(400, 404))
    description: str | None = response.json()["description"] if response.is_success else None
    return description


def _await_compiled(client: Client, function: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Poll until the function is READY or FAILED. Raises ServerError on a timeout or when the revision changes."""
    deadline = time.monotonic() + timeout
    revision = function["revision"]
    while function["status"] in _UNCOMPILED:
        if time.monotonic() > deadline:
            raise ServerError(
                f"{function['name']} is still {function['status']} after {timeout:g} s; "
                f"check it with `faas get {function['name']}`"
            )
        time.sleep(_POLL_INTERVAL_SECONDS)
        function = client.call("GET", f"/functions/{function['id']}").json()
        if function["revision"] != revision:
            raise ServerError(f"{function['name']} was changed by another client")
    return function


def _raw_output(body: str) -> str:
    """Return the JSON text of the member `output` of an execution."""
    return bytes(msgspec.json.decode(body, type=_Output).output).decode()
