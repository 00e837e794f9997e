"""The `shoal` command: its parts, and what becomes of errors."""

import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from typer.main import get_command

from shoal.cli import (
    change,
    checkpoint,
    control,
    cost,
    docs,
    doctor,
    events,
    explain,
    local,
    login,
    logs,
    metrics,
    migrate,
    model,
    plan,
    pool,
    project,
    queue,
    read,
    run,
    runs,
    search,
    template,
    token,
    top,
    user,
    webhook,
    workspace,
)
from shoal.cli.base import INTERRUPTED, PASS_THROUGH
from shoal.cli.printing import choosing
from shoal.client import ShoalError

EXIT_CODES = (
    "Exit codes: 0 done; 1 refused, failed, or no answer; 2 wrong usage; 3 the experiment that was"
    " waited for was cancelled; 130 interrupted."
)
SILENT = (local.up, local.down, top.top)
"""Commands that print nothing themselves."""
app = typer.Typer(
    name="shoal", epilog=EXIT_CODES, rich_markup_mode=None, pretty_exceptions_enable=False
)
for _part in (
    local, login, run, read, logs, runs, metrics, control, change, cost, plan, migrate, docs,
    doctor, top,
):  # fmt: skip
    _part.add(app)
for _name, _group in (
    ("checkpoint", checkpoint.group),
    ("explain", explain.group),
    ("pool", pool.group),
    ("project", project.group),
    ("queue", queue.group),
    ("search", search.group),
    ("events", events.group),
    ("model", model.group),
    ("template", template.group),
    ("token", token.group),
    ("user", user.group),
    ("webhook", webhook.group),
    ("workspace", workspace.group),
):
    app.add_typer(_group, name=_name)


def _choose(part: typer.Typer) -> None:
    """Let all commands print as they are asked to, but those for which another program prints."""
    for command in part.registered_commands:
        one, settings = command.callback, command.context_settings
        if one is not None and one not in SILENT and settings is not PASS_THROUGH:
            command.callback = choosing(one)
    for inner in part.registered_groups:
        if inner.typer_instance is not None:
            _choose(inner.typer_instance)


_choose(app)


def _version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(f"shoal {version('shoal-sdk')}")
    except PackageNotFoundError:
        typer.echo("shoal, from sources that are not installed")
    raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Train models: many at once, on machines that come and go."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command. An error is one sentence on stderr; its exit code is 1, or 2 for usage."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(args, standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except typer.Abort as abort:  # a question that was not answered
        typer.echo(err=True)
        if not isinstance(abort.__context__, EOFError):
            sys.exit(INTERRUPTED)
        typer.echo("shoal: There is nobody to ask: give all that is needed as arguments.", err=True)
        sys.exit(1)
    except BrokenPipeError:  # `shoal events | head`
        sys.stderr.close()
        sys.exit(0)
    except ShoalError as error:
        _complain(error)
        sys.exit(1)
    except OSError as error:
        typer.echo(f"shoal: {error}", err=True)
        sys.exit(1)
    except Exception as error:
        message = getattr(error, "format_message", None)
        if message is None:  # a bug: no traceback, but say what to report
            typer.echo(f"shoal: a bug: {type(error).__name__}: {error}", err=True)
            sys.exit(1)
        words = " ".join(message().split()).rstrip(".").replace("Value error, ", "")
        typer.echo(f"shoal: {words}. See `{_typed(args)} --help`.", err=True)
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


def _typed(arguments: Sequence[str]) -> str:
    """The command that was meant, as far as there is one."""
    names = ["shoal"]
    command: Any = get_command(app)
    for word in arguments:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        names.append(word)
    return " ".join(names)


def _complain(error: ShoalError) -> None:
    if not error.errors:
        typer.echo(f"shoal: {error}", err=True)
        return
    for one in error.errors:
        hint = f" Did you mean {one['suggestion']!r}?" if one.get("suggestion") else ""
        typer.echo(f"shoal: {one['path'] or 'the file'}: {one['message']}.{hint}", err=True)
