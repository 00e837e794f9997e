"""The commands and client methods for running searches, against a platform that is made up."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from shoal.cli.app import main
from shoal.client import Client, ShoalError

Run = Callable[..., tuple[int, str, str]]
EXPERIMENT: dict[str, Any] = {
    "experiment_id": "e", "name": "x", "state": "completed", "reason": "3 trials ended",
    "closing": "its budget is spent", "trials": {"completed": 2}, "max_trials": 9,
    "max_concurrent_trials": 3, "best": {"metric": 0.5, "trial_id": "e-0", "step": 4},
    "slot_seconds": 1.0,
    "submitted_at": 0.0, "front": [],
    "config": {"searcher": {"name": "random", "metric": "loss", "objectives": []}},
}  # fmt: skip
TRIAL: dict[str, Any] = {
    "trial_id": "e-0", "state": "completed", "running": False, "bracket": 0, "origin": "tpe",
    "parent": None, "rung": 1, "time": 4, "metric": 0.5, "objectives": [], "best": {"metric": 0.4},
    "node_ids": [], "hyperparameters": {"lr": 0.1},
}  # fmt: skip


class Platform:
    """Answers by path, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.default: Any = {}
        self.asked: list[tuple[str, str, Any]] = []

    def client(self, *_: Any) -> Client:
        return Client("http://x", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v1/experiments")
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, path, body))
        return httpx.Response(200, json=self.answers.get(path, self.default))


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Platform:
    made = Platform()
    monkeypatch.setattr("shoal.cli.base.Client", made.client)
    return made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return command


def test_what_the_client_asks_for(platform: Platform) -> None:
    client = platform.client()
    platform.answers["/e/trials"] = {"request_id": "r"}
    client.change("e", max_trials=9)
    client.change("e", max_concurrent_trials=0)
    assert client.create_trial("e", {"lr": 1}, 4, "r") == "r"
    client.extend_trial("e-3", 8)
    client.stop_trial("e-3")
    client.kill_trial("e-3")
    client.finish("e")
    client.explain("e-3")
    assert platform.asked == [
        ("PATCH", "/e", {"max_trials": 9}),
        ("PATCH", "/e", {"max_concurrent_trials": 0}),
        ("POST", "/e/trials", {"hyperparameters": {"lr": 1}, "target": 4, "request_id": "r"}),
        ("POST", "/e/trials/e-3/extend", {"target": 8}),
        ("POST", "/e/trials/e-3/stop", None),
        ("POST", "/e/trials/e-3/kill", None),
        ("POST", "/e/finish", None),
        ("GET", "/e/trials/e-3/explain", None),
    ]


def test_a_trial_is_asked_for_under_one_id_until_there_is_an_answer() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content)["request_id"])
        if len(asked) == 1:
            raise httpx.ReadTimeout("late", request=request)
        return httpx.Response(202, json={"request_id": asked[-1]})

    client = Client("http://x", transport=httpx.MockTransport(answer))
    assert client.create_trial("e", {}) == asked[0]
    assert len(asked) == 2
    assert len(set(asked)) == 1


@pytest.mark.parametrize(
    "command",
    [
        "pause e", "resume e", "stop e", "stop e-0", "kill e", "set e --max-trials 3",
        "edit e --name x", "archive e", "unarchive e", "delete e --yes", "fork e",
        "queue hold e", "queue release e", "queue set e --weight 2",
        "queue move e-0 --ahead-of e-1", "checkpoint pin e-0-a1-s2", "checkpoint unpin e-0-a1-s2",
        "checkpoint rm e-0-a1-s2", "pool drain p", "pool resume p",
    ],
)  # fmt: skip
def test_what_changes_something_prints_the_answer(
    platform: Platform, run: Run, command: str
) -> None:
    answer = {"experiment_id": "e", "requested": "it"}
    platform.default = answer
    for asked in ("--json", "-o json"):
        code, out, err = run(*command.split(), *asked.split())
        assert (code, json.loads(out), err) == (0, answer, "")


def test_kill_takes_either_id(platform: Platform, run: Run) -> None:
    assert run("kill", "e-3") == (0, "e-3 is asked to end at once.\n", "")
    assert run("kill", "e") == (0, "e is asked to end at once.\n", "")
    assert [path for _, path, _ in platform.asked] == ["/e/trials/e-3/kill", "/e/kill"]


def test_stop_takes_either_id(platform: Platform, run: Run) -> None:
    assert run("stop", "e-3") == (0, "e-3 is asked to end.\n", "")
    assert run("stop", "e") == (0, "e is asked to end.\n", "")
    assert [path for _, path, _ in platform.asked] == ["/e/trials/e-3/stop", "/e/cancel"]


def test_set(platform: Platform, run: Run) -> None:
    code, out, _ = run("set", "e", "--max-trials", "9", "--max-concurrent", "0")
    assert (code, out) == (
        0, "e is asked to change: max_trials 9, max_concurrent_trials 0.\n",
    )  # fmt: skip
    assert platform.asked == [("PATCH", "/e", {"max_trials": 9, "max_concurrent_trials": 0})]


def test_explain(platform: Platform, run: Run) -> None:
    found = {
        "trial_id": "e-3",
        "now": "Trial e-3 waits.",
        "events": [{"at": 0.0, "event": "trial.created", "text": "proposed (random)"}],
    }
    platform.answers["/e/trials/e-3/explain"] = found
    code, out, _ = run("explain", "trial", "e-3")
    first, empty, last = out.splitlines()
    assert (code, empty, last) == (0, "", "Trial e-3 waits.")
    assert first.endswith("  proposed (random)")
    _, out, _ = run("explain", "trial", "e-3", "--json")
    assert json.loads(out) == found


def test_show_tells_where_trials_come_from(platform: Platform, run: Run) -> None:
    copy = TRIAL | {"trial_id": "e-1", "origin": "pbt", "parent": "e-0"}
    platform.answers |= {"/e": EXPERIMENT, "/e/trials": {"items": [TRIAL, copy]}}
    _, out, _ = run("show", "e")
    assert "its budget is spent" in out
    assert "0.5 by e-0 at step 4\n" in out
    assert "pbt from e-0" in out
    assert "BRACKET" not in out
    assert "FRONT" not in out
    platform.answers["/e/trials"] = {"items": [TRIAL, copy | {"bracket": 1}]}
    assert "BRACKET" in run("show", "e")[1]


def test_several_objectives_show_their_front(platform: Platform, run: Run) -> None:
    searcher = {"name": "random", "metric": "loss", "objectives": [{"metric": "size"}]}
    best = {
        "trial_id": "e-0", "step": 4, "metric": 0.5, "hyperparameters": {"lr": 0.1},
        "metrics": {"loss": 0.5, "size": 7.0},
    }  # fmt: skip
    experiment = EXPERIMENT | {"front": [best], "config": {"searcher": searcher}}
    trials = [TRIAL | {"objectives": [7.0]}, TRIAL | {"trial_id": "e-1", "metric": None}]
    platform.answers |= {"": {"items": [experiment], "next": None}, "/e": experiment}
    platform.answers["/e/trials"] = {"items": trials}
    assert "front of 1" in run("ls")[1]
    lines = run("show", "e")[1].splitlines()
    assert lines[-2].split() == ["FRONT", "STEP", "loss", "size", "HYPERPARAMETERS"]
    assert lines[-1].split() == ["e-0", "4", "0.5", "7", "lr=0.1"]
    header, first, second = (line.split() for line in lines[-6:-3])
    assert header[5:8] == ["METRIC", "size", "BEST"]
    assert first[5:8] == ["0.5", "7", "0.4"]
    assert second[5:8] == ["-", "-", "0.4"]


HANDED = [["search", "preview"], ["search", "simulate"], ["plan"], ["simulate"]]


@pytest.mark.parametrize("path", HANDED)
def test_the_simulator_is_handed_everything(
    run: Run, monkeypatch: pytest.MonkeyPatch, path: list[str]
) -> None:
    handed: list[list[str]] = []
    monkeypatch.setattr("shoal.cli.base.importlib.util.find_spec", lambda _: object())
    monkeypatch.setattr(os, "execv", lambda _, arguments: handed.append(arguments))
    rest = ["x.yaml", "--curves", "t.csv", "--workers", "4", "--json", "--help"]
    assert run(*path, *rest)[0] == 0
    assert handed == [[sys.executable, "-m", "shoal_simulator", *path, *rest]]


@pytest.mark.parametrize("path", [*HANDED, ["demo"], ["search", "show"], ["explain", "trial"]])
def test_help_calls_each_command_as_people_do(path: list[str]) -> None:
    """Those of other programs, too."""
    command = [str(Path(sys.executable).with_name("shoal")), *path, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    usage = next(line for line in done.stdout.splitlines() if "Usage:" in line)
    assert f"shoal {' '.join(path)} " in usage


def test_what_is_not_installed_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.cli.base.importlib.util.find_spec", lambda _: None)
    sentence = "shoal: The simulator is not installed: pip install shoal-simulator.\n"
    assert run("search", "preview", "x.yaml") == (1, "", sentence)
    assert run("demo")[2] == (
        "shoal: The local platform is not installed: pip install shoal-local.\n"
    )


def test_a_refusal_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    detail = "The method single has no max_trials."
    transport = httpx.MockTransport(lambda _: httpx.Response(409, json={"detail": detail}))
    client = Client("http://x", transport=transport)
    monkeypatch.setattr("shoal.cli.base.Client", lambda: client)
    assert run("set", "e", "--max-trials", "9") == (1, "", f"shoal: {detail}\n")
    with pytest.raises(ShoalError, match="no max_trials"):
        client.change("e", max_trials=9)
