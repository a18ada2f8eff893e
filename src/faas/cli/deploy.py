"""The command `faas deploy`."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

from faas.cli.bundle import load_source
from faas.cli.client import Client, ServerError, endpoint, function_path, server_options
from faas.cli.function_settings import change_settings, function_setting_options, is_public, read_changes
from faas.cli.output import live_revision, print_json, print_text
from faas.cli.project_file import Project, find_project
from faas.cli.sources import LANGUAGES, function_name_of, language_of, read_text_argument
from faas.cli.terminal import for_display
from faas.errors import ConfigurationError
from faas.languages import Language

_WAITING = {"PENDING", "COMPILING"}
_POLL_INTERVAL_SECONDS = 0.1
_QUIET_SECONDS = 15.0  # before a line says what a deploy waits for


class _Deployed(NamedTuple):
    """What a deploy made: the function, and the revision as `latest` shows it."""

    function: dict[str, Any]
    done: str
    revision: dict[str, Any]

    @property
    def number(self) -> int:
        number: int = self.revision["revision"]
        return number

    @property
    def status(self) -> str:
        status: str = self.revision["status"]
        return status

    @property
    def live(self) -> bool:
        return live_revision(self.function) == self.number


@click.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--name", help="Name of the function.  [default: that of faas.toml, or the file name without its extension]"
)
@click.option("--language", type=click.Choice(LANGUAGES), help="[default: by the file extension]")
@click.option("--description", help="Description of the function.")
@function_setting_options(removals=True)
@click.option(
    "--promote/--no-promote",
    default=True,
    show_default=True,
    help="Make the revision live once it is READY. The first one of a function always goes live.",
)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until the revision is compiled.")
@click.option("--timeout", type=float, default=120, show_default=True, help="Maximum seconds to wait.")
@server_options
def deploy(
    file: Path,
    name: str | None,
    language: Language | None,
    description: str | None,
    promote: bool,
    wait: bool,
    timeout: float,
    client: Client,
    as_json: bool,
    **options: Any,
) -> int:
    """Create a function from FILE, or a new revision of the function of that name.

    FILE may be a folder with a faas.toml, which says what an option does not. The revision that is live serves until
    the new one is READY. Description and settings stay as they are in the newest revision, unless faas.toml or an
    option changes them. Nothing is compiled again when nothing has changed.

    JavaScript and TypeScript that import other files are bundled first, where node_modules/.bin or the PATH has an
    esbuild. Prints the compiler's diagnostics and exits with 1 when FILE does not compile.
    """
    changes = read_changes(options)
    project = find_project(file) or Project(path=file, file=file)
    file, language = project.file, language or project.language
    default_name = project.name or function_name_of(file)
    name = read_text_argument(name or default_name, "--name" if name else f"the name {default_name}")
    source = load_source(file, language or language_of(file))
    if source.bundled_with:
        print_text(f"bundled by {source.bundled_with}: {len(source.text.encode())} bytes", dim=True, err=True)
    draft = {"name": name, "language": source.language, "source": source.text}
    if description := description or project.description:
        draft["description"] = read_text_argument(description, "--description")

    def settings_after(present: dict[str, Any]) -> dict[str, Any]:
        return change_settings({**present, **project.settings}, changes)

    deployed = _send(client, draft, settings_after, promote=promote, by_extension=None if language else file)
    if wait:
        deployed = _await_compiled(client, deployed, timeout)
    if as_json:
        _print_json(deployed)
    elif deployed.status == "FAILED":
        _print_failure(deployed)
    else:
        click.echo(_describe(deployed, promote=promote))
        if deployed.live and is_public(deployed.function["settings"]):
            print_text(f"anyone may call {endpoint(client, deployed.function['name'])}")
    return int(deployed.status == "FAILED")


COMMANDS: dict[str, click.Command] = {"deploy": deploy}


def _send(
    client: Client,
    draft: dict[str, str],
    settings_after: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    promote: bool,
    by_extension: Path | None,
) -> _Deployed:
    """Create the function or replace it, with what `settings_after` makes of the settings of its newest revision.

    `by_extension` is the file whose extension decided the language. Raises ConfigurationError where that would change
    the language of a function in AssemblyScript.
    """
    path = function_path(draft["name"])
    body: dict[str, Any]
    for accept in ((404, 409), ()):  # once more where another client has deleted or created it in between
        existing = client.call("GET", path, accept=(400, 404))
        if existing.is_error:
            body = {**draft, "settings": settings_after({})}
            response = client.call("POST", "/functions", json=body, accept=accept)
            done = "created"
        else:
            function = existing.json()
            if by_extension:
                _refuse_change_from_assemblyscript(by_extension, function)
            body = {
                "description": function["description"],
                **draft,
                "settings": settings_after(_newest_settings(client, function)),
                "promote": promote,
            }
            response = client.call("PUT", path, json=body, accept=accept)
            done = "updated" if _is_changed(function, response.json()) else "unchanged"
        if response.is_success:
            break
    function = response.json()
    return _Deployed(function, done, function["latest"])


def _refuse_change_from_assemblyscript(file: Path, existing: dict[str, Any]) -> None:
    """Raise ConfigurationError where the ending .ts, which once meant AssemblyScript, would change the language."""
    if existing["language"] == "assemblyscript" and language_of(file) == "typescript":
        raise ConfigurationError(
            f"{file}: the function {existing['name']} is written in AssemblyScript, and this file is TypeScript by its "
            f"extension; pass --language assemblyscript (or name it {function_name_of(file)}.as.ts), or "
            "--language typescript to change the language"
        )


def _newest_settings(client: Client, function: dict[str, Any]) -> dict[str, Any]:
    newest = function["latest"]["revision"]
    if newest != function["revision"]:
        function = client.call("GET", function_path(function["id"], "revisions", str(newest))).json()
    settings: dict[str, Any] = function["settings"]
    return settings


def _is_changed(before: dict[str, Any], after: dict[str, Any]) -> bool:
    if "latest" not in after:  # an error
        return False
    return (before["latest"]["revision"], before["description"]) != (after["latest"]["revision"], after["description"])


def _await_compiled(client: Client, deployed: _Deployed, timeout: float) -> _Deployed:
    """Poll until the revision is READY or FAILED. Raises ServerError on a timeout."""
    began = time.monotonic()
    explained = False
    while deployed.status in _WAITING:
        if not explained and time.monotonic() > began + _QUIET_SECONDS:
            print_text(_waits_for(client, deployed), err=True)
            explained = True
        if time.monotonic() > began + timeout:
            name = deployed.function["name"]
            raise ServerError(
                f"revision {deployed.number} of {name} is still {deployed.status} after {timeout:g} s; "
                f"check it with `faas revisions {name}`"
            )
        time.sleep(_POLL_INTERVAL_SECONDS)
        function = client.call("GET", function_path(deployed.function["id"])).json()
        revision = function["latest"]
        if revision["revision"] != deployed.number:  # another client has deployed a newer one
            revision = client.call("GET", function_path(function["id"], "revisions", str(deployed.number))).json()
        deployed = deployed._replace(function=function, revision=revision)
    return deployed


def _waits_for(client: Client, deployed: _Deployed) -> str:
    """Return that the revision is still waited for, and for what as far as the server says it."""
    health = client.call("GET", "/health", accept=(503,)).json()
    state = health.get("toolchains", {}).get(deployed.function["language"])
    waiting = f"waiting for revision {deployed.number} of {deployed.function['name']}, which is {deployed.status}"
    if state == "WARMING":
        return f"{waiting}: the server still builds or starts what compiles {deployed.function['language']}"
    return waiting if state is None or state == "UP" else f"{waiting}: {state}"


def _print_json(deployed: _Deployed) -> None:
    """Print the function as the API shows it, without its source, and the revision of this deploy."""
    shown = {key: value for key, value in deployed.function.items() if key != "source"}
    own = {key: deployed.revision[key] for key in ("revision", "status", "compileError")}
    print_json({**shown, "deployed": {**own, "live": deployed.live}})


def _print_failure(deployed: _Deployed) -> None:
    live = live_revision(deployed.function)
    serves = "" if live is None else f"; revision {live} still serves"
    print_text(deployed.revision["compileError"], err=True)
    print_text(f"{deployed.function['name']} does not compile (revision {deployed.number}){serves}", fg="red", err=True)


def _describe(deployed: _Deployed, *, promote: bool) -> str:
    """Return what was done, and which revision calls run now."""
    name = for_display(deployed.function["name"], sys.stdout)
    state = click.style(deployed.status, fg="green" if deployed.status == "READY" else "yellow")
    line = f"{name} {deployed.done}, revision {deployed.number}: {state}"
    live = live_revision(deployed.function)
    if deployed.live:
        always = not promote and deployed.done != "unchanged"
        return f"{line}, live (the first READY revision always is)" if always else f"{line}, live"
    if deployed.status == "READY":
        return f"{line}, not live: revision {live} serves until `faas promote {name} {deployed.number}`"
    if live is None:
        return line
    return f"{line}; revision {live} serves until it is READY" if promote else f"{line}; revision {live} serves"
