"""What a person sees of the command when something is wrong, and when it tells a story."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from shoal.cli import story
from shoal.cli.app import app, main
from shoal.cli.run import watch
from shoal.client import Client, ShoalError, find_url

runner = CliRunner()
COMMANDS = [
    "up", "down", "status", "demo", "run", "ls", "show", "logs", "metrics", "pause", "resume",
    "checkpoint", "stop", "set", "explain", "search", "queue", "nodes", "events", "pool", "cost",
]  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def test_help_names_every_command() -> None:
    result = runner.invoke(app, ["--help"])
    assert result.exit_code == 0
    assert [c for c in COMMANDS if c not in result.output] == []


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "demo"])
def test_every_command_explains_itself(command: str) -> None:
    assert "Usage" in runner.invoke(app, [command, "--help"]).output


def test_version() -> None:
    assert runner.invoke(app, ["--version"]).output.startswith("shoal")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ("a: [", "is no YAML in line"),
        ("- a", "must be a mapping"),
        (b"\xff\xfe\xfa", "is no text"),
    ],
)
def test_a_bad_file_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str | bytes | None, words: str
) -> None:
    file = tmp_path / "x.yaml"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = run(capsys, "run", str(file))
    assert (code, out) == (1, "")
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["", "nope"], ["run"], ["ls", "--limit", "x"], ["ls", "--state", "x"],
        ["ls", "--sort", "x"], ["set", "e"], ["set", "e", "--max-trials", "0"], ["cost", "-x"],
        ["explain", "nope"], ["explain trial"], ["queue set", "e"], ["queue move", "e-1"],
        ["workspace secret set"], ["workspace grant", "w", "u", "boss"],
    ],
)  # fmt: skip
def test_wrong_usage_is_code_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    command = arguments[0].split()
    code, out, err = run(capsys, *command, *arguments[1:])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"See `{' '.join(['shoal', *command])} --help`." in err
    assert ".." not in err
    assert "Value error" not in err


@pytest.mark.parametrize("group", [g.name for g in app.registered_groups if g.name != "events"])
def test_a_group_alone_explains_itself(capsys: pytest.CaptureFixture[str], group: str) -> None:
    if group == "queue":
        group = "workspace secret"
    code, out, err = run(capsys, *group.split())
    assert (code, err) == (0, "")
    assert out.startswith("Usage: ")
    assert "Commands:" in out


def test_no_platform(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_URL", "http://127.0.0.1:9")
    code, _, err = run(capsys, "ls")
    assert code == 1
    assert "shoal up" in err


def test_where_the_platform_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOAL_URL", raising=False)
    monkeypatch.setenv("SHOAL_HOME", str(tmp_path))
    assert find_url() == "http://127.0.0.1:8080"
    (tmp_path / "local.json").write_text('{"url": "http://here:1", "pid": 1}')
    assert find_url() == "http://here:1"
    monkeypatch.setenv("SHOAL_URL", "http://there:2")
    assert find_url() == "http://there:2"


def test_schemas(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "events", "schema", "trial.paused")
    assert json.loads(out)["title"] == "TrialPaused"
    code, _, err = run(capsys, "events", "schema", "nope")
    assert (code, err.count("\n")) == (1, 1)


def event(kind: str, **data: Any) -> dict[str, Any]:
    return {"id": "i", "type": kind, "time": 0.0, "source": "s", "cause": None, "data": data}


def frames(*events: dict[str, Any], first: int = 1) -> bytes:
    return "".join(
        f"id: {i}\nevent: {e['type']}\ndata: {json.dumps(e)}\n\n"
        for i, e in enumerate(events, first)
    ).encode()


def test_a_broken_stream_goes_on_after_the_last_event() -> None:
    asked: list[str | None] = []
    end = event("search.cancelled", experiment_id="e", reason="asked", best=None)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("Last-Event-ID"))
        story_so_far = [frames(event("a.b"), event("a.c")), frames(end, first=3)]
        return httpx.Response(200, content=story_so_far[len(asked) - 1])

    client = Client("http://x", transport=httpx.MockTransport(answer))
    assert watch(client, "e") == 3
    assert asked == [None, "2"]


def test_a_problem_becomes_an_error() -> None:
    problem = {
        "type": "urn:shoal:problem:state", "detail": "It has ended.",
        "errors": [{"path": "a", "message": "b"}],
    }  # fmt: skip
    transport = httpx.MockTransport(lambda _: httpx.Response(409, json=problem))
    with pytest.raises(ShoalError, match=r"It has ended\.") as error:
        Client("http://x", transport=transport).pause("e")
    assert (error.value.status, error.value.errors[0]["path"]) == (409, "a")
    assert error.value.type == "urn:shoal:problem:state"


def test_a_submission_without_an_answer_is_repeated_with_its_key() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"experiment_id": "e"})
        asked.append(request.headers["Idempotency-Key"])
        if len(asked) == 1:
            raise httpx.ReadTimeout("late", request=request)
        return httpx.Response(201, json={"experiment_id": "e"})

    client = Client("http://x", transport=httpx.MockTransport(answer))
    assert client.submit({})["experiment_id"] == "e"
    assert len(asked) == 2
    assert len(set(asked)) == 1


def test_the_story() -> None:
    measured = event("trial.measured", trial_id="e-0", time=4, metric=0.123456789, rung=1)
    assert story.line(measured) == "e-0 at 4: 0.12346 (rung 1)"
    assert story.line(event("trial.checkpointed", trial_id="e-0")) is None


@pytest.mark.parametrize(
    ("happened", "words"),
    [
        (
            event("trial.created", trial_id="e-1", hyperparameters={"lr": 0.5}, origin="tpe"),
            "e-1 created (tpe): lr=0.5",
        ),
        (
            event(
                "trial.created", trial_id="e-1", hyperparameters={}, origin="pbt", parent="e-0"
            ),
            "e-1 created (pbt from e-0): -",
        ),
        (
            event("trial.measured", trial_id="e-0", time=4, metric=0.5, objectives=[7.0]),
            "e-0 at 4: 0.5,7",
        ),
        (event("trial.started", trial_id="e-0"), None),
        (event("experiment.pause_requested"), "pause was asked for"),
        (event("experiment.finish_requested"), "finish was asked for"),
        (
            event("experiment.trial_create_requested", hyperparameters={"lr": 1}),
            "a trial was asked for: lr=1",
        ),
        (
            event("experiment.trial_extend_requested", trial_id="e-0", target=8),
            "e-0 was asked to train on, to 8",
        ),
        (
            event("experiment.checkpoint_change_requested", change="pin", url="file:///s"),
            "pin was asked for of file:///s",
        ),
        (event("experiment.trial_stop_requested", trial_id="e-0"), "e-0 was asked to end"),
        (
            event("experiment.trial_stop_requested", trial_id="e-0", at_once=True),
            "e-0 was asked to end at once",
        ),
        (event("search.accepted"), "the experiment is accepted"),
        (event("search.proposed"), None),
        (
            event("search.proposed", sampler="gp", failure="there is no torch"),
            "the sampler gp failed: there is no torch",
        ),
        (
            event("search.begun", reason="gp takes long"),
            "trials begin with draws: gp takes long",
        ),
        (
            event("search.warmed", results=[{}, {}], checkpoint={"url": "u"}),
            "the search starts from 2 earlier results and another trial's weights",
        ),
        (
            event("search.changed", max_trials=None, max_concurrent_trials=0),
            "the search was changed: max_concurrent_trials=0",
        ),
        (
            event("search.closing", reason="its budget is spent"),
            "no more trials: its budget is spent",
        ),
        (
            event(
                "search.completed", best={"metric": 1}, front=[
                    {"trial_id": "e-0", "metrics": {"loss": 0.5, "size": 7}},
                ],
            ),
            "the experiment completed; 1 result that no other beats: e-0 (loss=0.5 size=7)",
        ),
    ],
)  # fmt: skip
def test_the_story_of_a_search(happened: dict[str, Any], words: str | None) -> None:
    assert story.line(happened) == words
