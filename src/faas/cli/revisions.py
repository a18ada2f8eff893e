"""The commands for revisions: revisions, promote, rollback, diff."""

import base64
import binascii
import difflib
import hashlib
from collections.abc import Sequence
from typing import Any

import click

from faas.cli.client import Client, function_path, server_options
from faas.cli.function_settings import describe_settings
from faas.cli.output import NO_VALUE, ago, first_line, print_diff, print_json, print_table, print_text

_NO_NEWLINE = "\n\\ No newline at end of file\n"


@click.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@server_options
def revisions(name: str, limit: int, client: Client, as_json: bool) -> None:
    """List the revisions of the function NAME (or id), newest first.

    SETTINGS has what is not the default. BY is the name of the token that deployed, and there where one has.
    """
    found = client.pages(function_path(name, "revisions"), limit)
    if as_json:
        print_json(found)
    else:
        print_table(
            ["REV", "STATUS", "LIVE", "CREATED", "BY", "LANGUAGE", "SETTINGS", "ERROR"],
            [
                (
                    str(revision["revision"]),
                    revision["status"],
                    "live" if revision["live"] else "–",
                    ago(revision["createdAt"]),
                    revision.get("createdBy") or NO_VALUE,  # a server of an earlier version does not send it
                    revision["language"],
                    " ".join(describe_settings(revision["settings"])) or "–",
                    _error_of(revision),
                )
                for revision in found
            ],
            optional="BY",
        )


@click.command()
@click.argument("name")
@click.argument("revision", metavar="N", type=click.IntRange(1))
@server_options
def promote(name: str, revision: int, client: Client, as_json: bool) -> None:
    """Make revision N of the function NAME (or id) the live one.

    N is READY. It runs for every call that begins from then on; nothing is compiled. Revisions that are being compiled
    no longer go live by themselves.
    """
    function = client.call("POST", function_path(name, "promote"), json={"revision": revision}).json()
    _print_live(function, "promoted", as_json=as_json)


@click.command()
@click.argument("name")
@server_options
def rollback(name: str, client: Client, as_json: bool) -> None:
    """Make the revision of the function NAME (or id) live that was live before.

    A second rollback goes one further back. Nothing is compiled. Revisions that are being compiled no longer go live by
    themselves.
    """
    function = client.call("POST", function_path(name, "rollback")).json()
    _print_live(function, "rolled back", as_json=as_json)


@click.command()
@click.argument("name")
@click.argument("before", metavar="N", type=click.IntRange(1))
@click.argument("after", metavar="M", type=click.IntRange(1))
@server_options
def diff(name: str, before: int, after: int, client: Client, as_json: bool) -> None:
    """Show how revision M of the function NAME (or id) differs from revision N, as a unified diff.

    Language and settings are compared first, then the sources.
    """
    old, new = (client.call("GET", function_path(name, "revisions", str(number))).json() for number in (before, after))
    settings = _diff(name, "settings", before, after, _settings_lines(old), _settings_lines(new))
    source = _diff(name, "source", before, after, _source_lines(old), _source_lines(new))
    if as_json:
        print_json({"settings": settings, "source": source})
    elif settings or source:
        print_diff(settings + source)
    else:
        click.echo(f"revisions {before} and {after} have the same source, language and settings", err=True)


COMMANDS: dict[str, click.Command] = {"revisions": revisions, "promote": promote, "rollback": rollback, "diff": diff}


def _error_of(revision: dict[str, Any]) -> str:
    if revision.get("upgradeError"):  # a server of an earlier version does not send it
        return f"on an older engine: {first_line(revision['upgradeError'])}"
    return first_line(revision["compileError"])


def _print_live(function: dict[str, Any], done: str, *, as_json: bool) -> None:
    if as_json:
        print_json({key: value for key, value in function.items() if key != "source"})
    else:
        print_text(f"{function['name']} {done}, revision {function['revision']} is live")


def _settings_lines(revision: dict[str, Any]) -> list[str]:
    return [f"{line}\n" for line in (f"language={revision['language']}", *describe_settings(revision["settings"]))]


def _source_lines(revision: dict[str, Any]) -> list[str]:
    """Return the lines of the source with their line feeds, or one line about a module."""
    source: str = revision["source"]
    if revision["language"] == "wasm":
        return [_describe_module(source)]
    lines = source.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _describe_module(source: str) -> str:
    try:
        module = base64.b64decode(source)
    except binascii.Error:
        return f"{source}\n"
    return f"module of {len(module)} bytes, SHA-256 {hashlib.sha256(module).hexdigest()}\n"


def _diff(name: str, what: str, before: int, after: int, old: Sequence[str], new: Sequence[str]) -> str:
    """Return a unified diff, or an empty string where there is no difference."""
    lines = difflib.unified_diff(old, new, f"{name}@{before} {what}", f"{name}@{after} {what}")
    return "".join(line if line.endswith("\n") else f"{line}{_NO_NEWLINE}" for line in lines)
