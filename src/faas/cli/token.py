"""The commands of tokens: create, list, revoke. They need no server; the first token is made with them."""

from collections.abc import Callable
from typing import Any

import click

from faas import logs, settings
from faas.access.model import TokenDraft
from faas.access.service import SCOPES, check_draft
from faas.cli.client import Client
from faas.cli.output import ago, in_or_ago, is_past, print_json, print_table, print_text
from faas.cli.server_tokens import ServerTokens, TokenStore
from faas.cli.setting_options import with_settings
from faas.errors import ConfigurationError, InvalidRequest
from faas.units import parse_retention

_EXPIRES_FORM = "a duration with its unit such as 90d or 12h, at most 3650d"
# The field of a request → the option of the command.
_OPTIONS = {
    "name": "NAME",
    "scopes": "--scope",
    "functions": "--function",
    "perSecond": "--per-second",
    "expiresIn": "--expires",
}


@click.group("token")
def token_group() -> None:
    """Make, list and revoke tokens, by which a server knows its clients.

    With --url or FAAS_URL they are those of that server, which asks for a token with the scope admin. Otherwise they
    are those in the database of --data-dir, whether or not its server runs, or of --database-url: that is how the first
    token is made.
    """


def _store_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which tokens are meant, --url, --data-dir and --database-url, and --json."""
    function = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)
    function = with_settings("data_dir", "database_url")(function)
    return click.option(
        "--url", metavar="URL", help="URL of the server.  [env: FAAS_URL; default: the database itself]"
    )(function)


@token_group.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What it may do: read, invoke, deploy functions, or all and more as admin. May be repeated.",
)
@click.option(
    "--function",
    "functions",
    metavar="PATTERN",
    multiple=True,
    help="The functions that it reaches, by name: orders, or orders-*. May be repeated.  [default: all]",
)
@click.option("--per-second", metavar="N", type=float, help="How many requests per second it may make.")
@click.option("--expires", metavar="DURATION", help="How long it holds: 90d, 12h.  [default: without an end]")
@_store_options
def create(
    name: str,
    scopes: tuple[str, ...],
    functions: tuple[str, ...],
    per_second: float | None,
    expires: str | None,
    as_json: bool,
    **place: str | None,
) -> None:
    """Make a token called NAME and print it. It is shown this once.

    The token alone is on standard output: TOKEN=$(faas token create shop --scope invoke). The database is made, and
    migrated, if there is none yet.
    """
    draft = TokenDraft(
        name=name,
        scopes=scopes,
        functions=functions or None,
        per_second=per_second,
        expires_in=None if expires is None else _parse_expiry(expires),
    )
    try:
        check_draft(draft)
    except InvalidRequest as error:
        raise ConfigurationError(f"{_OPTIONS[error.field]}: {error.reason}") from None
    store = _open_store(**place)
    token, first = store.create(draft)
    if as_json:
        print_json(token)
        return
    print_text(_describe(token, store.place, first=first), err=True)
    click.echo(token["token"])


@token_group.command("list")
@_store_options
def list_tokens(as_json: bool, **place: str | None) -> None:
    """List the tokens by name, revoked and expired ones too.

    USED is when the token was last used, to about ten seconds.
    """
    tokens = _open_store(**place).list()
    if as_json:
        print_json(tokens)
    elif not tokens:
        click.echo("no tokens yet: faas token create NAME --scope admin", err=True)
    else:
        print_table(
            ["NAME", "ID", "STATE", "SCOPES", "EXPIRES", "USED", "FUNCTIONS"],
            [
                (
                    token["name"],
                    token["id"],
                    _state(token),
                    ",".join(token["scopes"]),
                    in_or_ago(token["expiresAt"]) if token["expiresAt"] else "never",
                    ago(token["lastUsedAt"]) if token["lastUsedAt"] else "never",
                    _functions(token),
                )
                for token in tokens
            ],
        )


@token_group.command("revoke")
@click.argument("reference", metavar="NAME_OR_ID")
@_store_options
def revoke(reference: str, as_json: bool, **place: str | None) -> None:
    """Revoke a token. Every server refuses it within two seconds; it stays in the list, and its name stays taken."""
    name, before = _open_store(**place).revoke(reference)
    if as_json:
        print_json({"revoked": name})
    else:
        print_text(f"{name} was revoked before" if before else f"{name} revoked; servers refuse it within 2 s")


COMMANDS: dict[str, click.Command] = {"token": token_group}


def _parse_expiry(text: str) -> float:
    try:
        seconds = parse_retention(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3650 * 86_400:
        raise ConfigurationError(f"--expires: {text!r} is not accepted; accepted is {_EXPIRES_FORM}")
    return seconds


def _open_store(url: str | None, data_dir: str | None, database_url: str | None) -> TokenStore:
    """Return the tokens that the options mean; an option goes before a variable. Raises ConfigurationError."""
    database_option = "--data-dir" if data_dir is not None else "--database-url" if database_url is not None else None
    if url is not None and database_option:
        raise ConfigurationError(f"--url and {database_option}: give the server or its database, not both")
    if not database_option:
        url = url or settings.server_variable()
        if url:
            return ServerTokens(Client(url))
    if data_dir is not None and database_url is None:
        database_url = ""  # not that of FAAS_DATABASE_URL
    chosen = settings.load({"data_dir": data_dir, "database_url": database_url})
    logs.configure(chosen.log_format, "warning")
    from faas.cli.database_tokens import DatabaseTokens  # the whole service: as slow as a start of the server

    return DatabaseTokens(chosen)


def _describe(token: dict[str, Any], place: str, *, first: bool) -> str:
    lines = [
        f"made the token {token['name']} {place}",
        f"  id         {token['id']}",
        f"  scopes     {', '.join(token['scopes'])}",
        f"  functions  {_functions(token)}",
    ]
    if token["perSecond"] is not None:
        lines.append(f"  rate       {token['perSecond']:g} requests per second")
    lines += [
        f"  expires    {_expiry(token['expiresAt'])}",
        "It is shown this once. Pass it in FAAS_TOKEN, or put it into ~/.config/faas/token (chmod 600).",
    ]
    if first:
        lines.append("It is the first one: servers ask for tokens from now on, unless they run with --auth off.")
    return "\n".join(lines)


def _expiry(timestamp: str | None) -> str:
    return f"{timestamp[:16].replace('T', ' ')} UTC ({in_or_ago(timestamp)})" if timestamp else "never"


def _functions(token: dict[str, Any]) -> str:
    return "all" if token["functions"] is None else " ".join(token["functions"])


def _state(token: dict[str, Any]) -> str:
    if token["revokedAt"]:
        return "revoked"
    return "expired" if token["expiresAt"] and is_past(token["expiresAt"]) else "active"
