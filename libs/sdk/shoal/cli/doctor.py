"""`shoal doctor`: what a new user trips over, looked at before it happens."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.text import Text

from shoal import __version__, credentials
from shoal.checkup import Finding, feed, folder, machine, platform
from shoal.checkup.finding import fail, ok
from shoal.cli.base import client
from shoal.cli.printing import in_json, json
from shoal.cli.run import load
from shoal.client import ShoalError
from shoal_contract.parse import ConfigError, parse_experiment

_MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("fail", "bold red")}


def add(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(doctor)


def doctor(
    file: Annotated[
        Path | None, typer.Argument(help="An experiment: look at its pool and folder, too.")
    ] = None,
) -> None:
    """Look at everything that it takes, and say what to do. Exit code: 1 if something fails."""
    out, found = Console(highlight=False), []
    for finding in _findings(file):
        found.append(finding)
        if not json():
            _tell(out, finding)
    in_json([asdict(finding) for finding in found])
    raise typer.Exit(any(finding.state == "fail" for finding in found))


def _findings(file: Path | None) -> Iterator[Finding]:
    with client() as line:
        there, about = platform.answers(line.url, __version__)
        here = there and urlsplit(line.url).hostname in ("127.0.0.1", "localhost")
        yield from machine.machine(credentials.home(), up=here)
        yield from about
        known = False
        if there:
            known, login = platform.knows(line)
            yield login
        nodes = line.nodes() if known else []
        if known:
            yield platform.slots(nodes)
            yield feed.feed(line, credentials.find_token(line.url) or "")
        if file is None:
            return
        config, finding = _read(file)
        yield finding
        if config is not None:
            yield from folder.storage(config)
        if config is not None and known:
            yield from platform.pools(config, nodes, line.pools())
        yield from folder.code(file.absolute().parent)


def _read(file: Path) -> tuple[dict[str, Any] | None, Finding]:
    try:
        config = parse_experiment(load(file))
    except ShoalError as error:
        return None, fail("File", str(error).rstrip("."), "give an experiment file")
    except ConfigError as error:
        return None, fail(
            "File", str(error).rstrip("."), "`shoal search preview FILE` reads it, too"
        )
    return config.model_dump(mode="json"), ok("File", f"{file} is an experiment")


def _tell(out: Console, finding: Finding) -> None:
    mark, style = _MARKS[finding.state]
    words = f" {finding.what}: {finding.text}"
    words += f"; {finding.todo}" if finding.todo else ""
    out.print(Text.assemble((mark, style), words), soft_wrap=True)
