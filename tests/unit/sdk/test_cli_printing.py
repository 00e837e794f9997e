"""How the command prints: every command in the same ways, and what people see of values."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.main import get_command

from shoal.cli import printing
from shoal.cli.app import app, main

OTHERS_PRINT = {
    "up", "down", "demo", "top", "plan", "simulate", "search preview", "search simulate",
}  # fmt: skip
"""Commands for which another program prints, or a screen."""


def commands(node: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """All commands by what is typed; a group that prints by itself is one."""
    inner = getattr(node, "commands", {})
    if not inner or any(param.name == "json" for param in node.params):
        yield " ".join(path), node
    for name, one in inner.items():
        yield from commands(one, *path, name)


ALL = dict(commands(get_command(app)))


def test_the_tree_is_walked() -> None:
    assert {"ls", "queue", "queue move", "events", "workspace secret ls"} <= set(ALL)
    assert set(ALL) > OTHERS_PRINT


@pytest.mark.parametrize("name", sorted(set(ALL) - OTHERS_PRINT))
def test_every_command_prints_json_and_wide(name: str) -> None:
    options = {option: p for p in ALL[name].params for option in p.opts}
    assert {"--json", "--output", "-o"} <= set(options)
    assert options["-o"] is options["--output"]


@pytest.mark.parametrize(
    ("asked", "out"),
    [
        ([], "A  B\n1  -\n"), (["--json"], '{"a": 1}\n{"a": 1}\n'),
        (["-o", "json"], '{"a": 1}\n{"a": 1}\n'), (["-o", "wide"], "A  B  C\n1  -  3\n"),
    ],
)  # fmt: skip
def test_a_command_prints_as_it_is_asked(
    capsys: pytest.CaptureFixture[str], asked: list[str], out: str
) -> None:
    def show() -> None:
        if not (printing.json_line({"a": 1}) and printing.json_line({"a": 1})):
            more = printing.wide()
            rows = [[1, None, *([3] if more else [])]]
            printing.table(["A", "B", *(["C"] if more else [])], rows, "None.")

    one = typer.Typer()
    one.command()(printing.choosing(show))
    one(asked, standalone_mode=False)
    printed = capsys.readouterr().out
    assert "\n".join(line.rstrip() for line in printed.splitlines()) + "\n" == out
    assert not printing.json()


def test_values_as_people_see_them() -> None:
    assert printing.text({"at": 1.5, "lr": 0.1234567}) == "at=1.5 lr=0.12346"
    told = printing.text({"at": 1.796e9, "expires_at": 1.796e9, "loss": 1.796e9})
    assert told.count("2026-") == 2
    assert told.endswith("loss=1.796e+09")


def test_schemas_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["events", "asyncapi", "--json"])
    assert json.loads(capsys.readouterr().out)["asyncapi"] == "3.0.0"
