"""The command `faas audit`: the changes on record."""

from datetime import datetime
from typing import Any

import click

from faas.cli.client import Client, server_options
from faas.cli.output import NO_VALUE, print_json, print_table


@click.command()
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@server_options
def audit(limit: int, client: Client, as_json: bool) -> None:
    """List the changes on record, newest first. With tokens, this needs one with the scope admin.

    BY is the name of the token. (database) is the command line on the database itself; a dash is a server that asked
    for no token. SUBJECT is the name that the function, token or secret had; NAME@N is revision N of a function.
    """
    entries = client.pages("/audit", limit)
    if as_json:
        print_json(entries)
    elif not entries:
        click.echo("no changes on record yet", err=True)
    else:
        print_table(
            ["TIME", "BY", "ACTION", "SUBJECT"],
            [
                (
                    _local_time(entry["at"]),
                    _actor(entry),
                    entry["action"],
                    entry["subject"] if entry["revision"] is None else f"{entry['subject']}@{entry['revision']}",
                )
                for entry in entries
            ],
        )


COMMANDS: dict[str, click.Command] = {"audit": audit}


def _local_time(timestamp: str) -> str:
    """Return the time to the second, in the zone of the terminal's user."""
    return f"{datetime.fromisoformat(timestamp).astimezone():%Y-%m-%d %H:%M:%S}"


def _actor(entry: dict[str, Any]) -> str:
    # A token cannot have this name: names have no parentheses.
    return entry["tokenName"] or ("(database)" if entry["via"] == "database" else NO_VALUE)
