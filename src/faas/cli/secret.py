"""The commands of secrets: set, list, delete. The value is read from standard input or asked for, never an argument."""

import sys
from typing import Any
from urllib.parse import quote

import click
import httpx

from faas.cli.client import Client, server_options
from faas.cli.output import NO_VALUE, ago, print_json, print_table, print_text
from faas.cli.sources import read_text_argument
from faas.errors import ConfigurationError, InvalidRequest
from faas.secret_store.validation import check_name, check_value, parse_functions, parse_hosts
from faas.web_origin import is_loopback

# The field of a request → the option of the command.
_OPTIONS = {"name": "NAME", "value": "the value", "hosts": "--host", "functions": "--function"}


@click.group("secret")
def secret_group() -> None:
    """Set, list and delete secrets, which functions name in their settings.

    A server that asks for tokens wants one with the scope admin.
    """


@secret_group.command("set")
@click.argument("name")
@click.option(
    "--host",
    "hosts",
    metavar="ORIGIN",
    multiple=True,
    help="Where the server sends the value, such as https://api.stripe.com, so that functions do not see it. May be "
    "repeated.  [default: as before; at first, functions read the value]",
)
@click.option("--no-host", is_flag=True, help="Let the functions read the value.")
@click.option(
    "--function",
    "functions",
    metavar="PATTERN",
    multiple=True,
    help="The functions that may name it: orders, or orders-*. May be repeated.  [default: as before; at first none]",
)
@click.option("--no-function", is_flag=True, help="Let no function name it.")
@server_options
def set_secret(
    name: str,
    hosts: tuple[str, ...],
    no_host: bool,
    functions: tuple[str, ...],
    no_function: bool,
    client: Client,
    as_json: bool,
) -> None:
    """Set the secret NAME: its value, and what may use it. What is not given stays as it was.

    The value is what standard input has, without a newline at its end: printf %s "$KEY" | faas secret set STRIPE_KEY.
    On a terminal it is asked for, twice, and not shown. No command shows it later.
    """
    if (hosts and no_host) or (functions and no_function):
        raise ConfigurationError("--no-host and --no-function exclude --host and --function")
    try:
        check_name(name)
        parse_hosts(hosts or None)
        parse_functions(functions)
        path = _path(name)
        found = client.call("GET", path, accept=(httpx.codes.NOT_FOUND,))
        before = found.json() if found.is_success else {"hosts": None, "functions": []}
        _warn_of_plain_http(client)
        value = _read_value()
        check_value(value)
    except InvalidRequest as error:
        raise ConfigurationError(f"{_OPTIONS[error.field]}: {error.reason}") from None
    body = {
        "value": value,
        "hosts": list(hosts) or (None if no_host else before["hosts"]),
        "functions": list(functions) or ([] if no_function else before["functions"]),
    }
    secret = client.call("PUT", path, json=body).json()
    if as_json:
        print_json(secret)
    else:
        print_text(_describe(secret, replaced=found.is_success))


@secret_group.command("list")
@server_options
def list_secrets(client: Client, as_json: bool) -> None:
    """List the secrets by name, without their values."""
    secrets = client.pages("/secrets")
    if as_json:
        print_json(secrets)
    elif not secrets:
        click.echo("no secrets yet: faas secret set NAME", err=True)
    else:
        print_table(
            ["NAME", "CHANGED", "BY", "KEY", "HOSTS", "FUNCTIONS"],
            [
                (
                    secret["name"],
                    ago(secret["updatedAt"]),
                    secret["updatedBy"] or NO_VALUE,
                    secret["keyId"],
                    _hosts(secret),
                    _functions(secret),
                )
                for secret in secrets
            ],
        )


@secret_group.command("delete")
@click.argument("name")
@server_options
def delete_secret(name: str, client: Client, as_json: bool) -> None:
    """Delete the secret NAME, which no kept revision may name."""
    client.call("DELETE", _path(name))
    if as_json:
        print_json({"deleted": name})
    else:
        print_text(f"{name} deleted")


COMMANDS: dict[str, click.Command] = {"secret": secret_group}


def _path(name: str) -> str:
    if not name:
        raise ConfigurationError("NAME is empty")
    return f"/secrets/{quote(read_text_argument(name, 'NAME'), safe='')}"


def _read_value() -> str:
    if sys.stdin is None:
        raise ConfigurationError("standard input is closed: pipe the value in, or run this on a terminal")
    if sys.stdin.isatty():
        value: str = click.prompt("Value", hide_input=True, confirmation_prompt="The same again", err=True)
        return value
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the value: invalid UTF-8 at byte {error.start}") from None
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


def _warn_of_plain_http(client: Client) -> None:
    url = httpx.URL(client.url)
    if url.scheme == "http" and not is_loopback(url.host):
        print_text(
            f"faas: warning: the value is sent to {url.host} over http, where others can read it; use https",
            fg="yellow",
            err=True,
        )


def _describe(secret: dict[str, Any], *, replaced: bool) -> str:
    lines = [
        f"{secret['name']} {'replaced; executions have the new value within a second' if replaced else 'set'}",
        f"  hosts      {_hosts(secret)}",
        f"  functions  {_functions(secret)}",
    ]
    if not secret["functions"]:
        lines.append("No function may name it yet: allow some with --function PATTERN.")
    return "\n".join(lines)


def _hosts(secret: dict[str, Any]) -> str:
    return "functions read it" if secret["hosts"] is None else " ".join(secret["hosts"])


def _functions(secret: dict[str, Any]) -> str:
    return " ".join(secret["functions"]) or "none"
