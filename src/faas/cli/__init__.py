"""The `faas` command line. Modules of commands are imported on use, so that `faas --help` starts quickly.

Exit codes: 0 success; 1 the operation failed (a compile error, a failed execution, an error of the server);
2 a setting, an option, a file that they name, or the machine does not allow the operation; 130 aborted.
"""

import errno
import io
import sys
from importlib import import_module

import click

from faas.cli.terminal import drop_output, for_display, open_output_streams
from faas.errors import ConfigurationError, FaasError

# Reasons for which a stream cannot be written that are not faults of the command.
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

# Command → (module, help line). The help lines are here because listing the commands must not import their modules.
_COMMANDS = {
    "serve": ("faas.cli.serve", "Serve the API over HTTP."),
    "migrate": ("faas.cli.serve", "Migrate the database to the current schema."),
    "doctor": ("faas.cli.doctor", "Check an installation, and say what to do."),
    "run": ("faas.cli.run", "Compile a source file and execute it once, without a server."),
    "backup": ("faas.cli.backup", "Back up a database into one file; the server may be running."),
    "restore": ("faas.cli.backup", "Restore a backup into an empty database."),
    "prune": ("faas.cli.prune", "Delete what the settings of retention no longer keep."),
    "deploy": ("faas.cli.deploy", "Create a function, or a new revision of one, from a source file."),
    "invoke": ("faas.cli.functions", "Invoke a function."),
    "list": ("faas.cli.functions", "List the functions."),
    "get": ("faas.cli.functions", "Show a function."),
    "delete": ("faas.cli.functions", "Delete a function with its revisions and executions."),
    "executions": ("faas.cli.functions", "List a function's executions."),
    "execution": ("faas.cli.execution", "Show an execution: its input, logs, and output or error."),
    "revisions": ("faas.cli.revisions", "List a function's revisions."),
    "promote": ("faas.cli.revisions", "Make a revision of a function live."),
    "rollback": ("faas.cli.revisions", "Make the revision live that was live before."),
    "diff": ("faas.cli.revisions", "Show how two revisions of a function differ."),
    "token": ("faas.cli.token", "Make, list and revoke tokens."),
    "secret": ("faas.cli.secret", "Set, list and delete secrets."),
    "audit": ("faas.cli.audit", "List the changes on record: who deployed, promoted, deleted, made tokens."),
    "pipeline": (
        "faas.compute_module.cli.pipeline",
        "Enrich a table of e-mail addresses: file to file, or in Foundry.",
    ),
    "mock-foundry": ("faas.compute_module.cli.mock_foundry", "Serve a mock of Foundry's datasets and streams."),
}


class _LazyGroup(click.Group):
    """A group that imports the module of a command when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        try:
            commands: dict[str, click.Command] = import_module(_COMMANDS[cmd_name][0]).COMMANDS
        except (ImportError, OSError) as error:  # a dependency or one of its shared libraries is missing
            raise ConfigurationError(f"a part of faas is missing, install it again: {error}") from None
        return commands[cmd_name]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from faas.cli.version import describe

        click.echo(describe())
        ctx.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version, the commit and the versions of the components.",
)
@click.pass_context
def cli(context: click.Context) -> None:
    """Functions as a service in one process: source in, WebAssembly out, every execution on record in Postgres."""
    from rich.console import Console

    if Console().no_color:  # NO_COLOR, which click does not know
        context.color = False


def main() -> None:
    """Run the command line and exit with its exit code."""
    open_output_streams()
    try:
        code = cli.main(prog_name="faas", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(file=shown)
        click.echo(for_display(shown.getvalue(), sys.stderr), err=True, nl=False)
        sys.exit(2)
    except click.exceptions.Abort:
        sys.exit(130)
    except ConfigurationError as error:
        _show_error(error)
        sys.exit(2)
    except FaasError as error:
        _show_error(error)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of stdout is gone; do not report this on stderr at exit
        sys.exit(1)
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            raise
        drop_output()
        _show_error(FaasError(f"cannot write to standard output: {error.strerror}"))
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _show_error(error: FaasError) -> None:
    from faas.cli.output import print_text

    print_text(f"faas: {error}", fg="red", err=True)
