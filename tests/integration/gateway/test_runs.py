"""Runs and the searcher's state: over HTTP, with the clients, and as the command prints them."""

import json
import zipfile
from pathlib import Path

import shoal
from shoal_contract.events import (
    AllocationEnded,
    RunExited,
    SearchAccepted,
    SearchProposed,
    TrialCreated,
)
from shoal_contract.events.search import BracketPlan
from shoal_contract.parse import parse_experiment
from shoal_contract.states import Outcome

from .conftest import CONFIG, Gateway, Shoal
from .test_gateway import publish, trial_events


async def played(gateway: Gateway) -> str:
    """An experiment of two rungs, whose one trial had an attempt that failed."""
    halving = CONFIG["searcher"] | {"name": "async_halving", "sampler": "tpe"}
    e = await gateway.submit(searcher=halving)
    plan = BracketPlan(rungs=[2, 10], max_trials=4, max_concurrent_trials=16)
    ids = {"experiment_id": e, "trial_id": f"{e}-0", "allocation_id": f"{e}-0-a1"}
    accepted = SearchAccepted(
        experiment_id=e, config=parse_experiment(CONFIG), bundle=None, storage_url="file:///s",
        units=16, brackets=[plan],
    )  # fmt: skip
    await publish(
        gateway,
        accepted,
        SearchProposed(experiment_id=e, sampler="tpe", known=7, proposals=[{}]),
        *trial_events(e),
        RunExited(
            **ids, run_id=f"{e}-0-a1-r0", node_id="n1", outcome=Outcome.FAILED,
            reason="rank 1 ended with 3", exit_code=3,
        ),
        AllocationEnded(
            **ids, attempt=1, outcome=Outcome.FAILED, reason="rank 1 ended with 3", slots=2,
            seconds=30.0, last_time=4,
        ),
    )  # fmt: skip
    path = f"/v1/experiments/{e}"
    await gateway.until(f"{path}/runs", lambda x: x["items"] and x["items"][0]["exits"])
    await gateway.until(f"{path}/runs", lambda x: x["items"][0]["state"] == "ended")
    await gateway.until(f"{path}/trials/{e}-0", lambda x: x["time"] == 4)
    return e


async def test_runs_and_searches_are_read(gateway: Gateway, shoal: Shoal) -> None:
    e = await played(gateway)
    (run,) = (await gateway.get(f"/v1/experiments/{e}/runs", trial=f"{e}-0"))["items"]
    assert (run["attempt"], run["outcome"], run["slot_seconds"]) == (1, "failed", 60)
    assert (run["node_ids"], run["exits"][0]["exit_code"]) == (["n1"], 3)
    found = await gateway.get(f"/v1/experiments/{e}/searcher")
    assert (found["method"], found["units"], found["expected_units"]) == ("async_halving", 4, 16)
    assert found["sampler"]["known"] == 7
    first, second = found["brackets"][0]["rungs"]
    assert (first["target"], first["results"], first["best"]["metric"]) == (2, 1, 0.5)
    assert (second["target"], second["results"]) == (10, 1)
    for path in (f"{e}/runs?trial={e}-9", "nope22/runs", "nope22/searcher"):
        assert (await gateway.http.get(f"/v1/experiments/{path}")).status_code == 404

    code, said = await shoal("runs", e, "-o", "wide")
    assert code == 0
    assert f"{e}-0" in said
    assert "rank 1 ended with 3" in said
    assert "n1: failed (3)" in said
    assert json.loads((await shoal("runs", f"{e}-0", "--json"))[1]) == [run]
    code, said = await shoal("search", "show", e)
    assert code == 0
    assert "4 of about 16 (in units of step)" in said
    assert "tpe, which has learned from 7" in said
    assert json.loads((await shoal("search", "show", e, "--json"))[1]) == found
    code, said = await shoal("search", "show", "nope22")
    assert (code, said.count("\n")) == (1, 1)


async def test_a_sampler_that_fails_is_seen(gateway: Gateway, shoal: Shoal) -> None:
    e = await played(gateway)
    why = "gp needs an extra"
    drawn = TrialCreated(
        experiment_id=e, trial_id=f"{e}-1", number=1, hyperparameters={"lr": 0.1}, seed=1,
        reason=f"the sampler failed: {why}",
    )  # fmt: skip
    failed = [
        SearchProposed(experiment_id=e, sampler="tpe", known=known, proposals=[], failure=why)
        for known in (8, 9)
    ]
    await publish(gateway, *failed, drawn)
    path = f"/v1/experiments/{e}"
    found = await gateway.until(f"{path}/searcher", lambda x: x["sampler"]["failures"] == 2)
    assert (found["sampler"]["failure"], found["sampler"]["known"]) == (why, 7)
    assert (await gateway.get(path))["sampler_failure"] == why
    assert "shoal_sampler_failures 2" in (await gateway.http.get("/metrics")).text
    row = await gateway.until(f"{path}/trials/{e}-1", lambda x: "trial_id" in x)
    assert row["reason"] is None, "it is no reason for its end"
    _, said = await shoal("search", "show", e)
    assert f"it failed 2 times: {why}; draws take its place" in said
    assert why in (await shoal("show", e))[1]
    assert f"the sampler failed: {why}" in (await shoal("explain", "trial", f"{e}-1"))[1]

    again = SearchProposed(experiment_id=e, sampler="tpe", known=10, proposals=[{}])
    await publish(gateway, again)
    found = await gateway.until(f"{path}/searcher", lambda x: x["sampler"]["known"] == 10)
    assert (found["sampler"]["failures"], found["sampler"]["failure"]) == (2, None)
    assert (await gateway.get(path))["sampler_failure"] is None
    assert why not in (await shoal("show", e))[1]


async def test_the_clients_ask_for_both(gateway: Gateway, tmp_path: Path) -> None:
    e = await played(gateway)
    async with shoal.AsyncClient(gateway.url) as line:
        assert [run["attempt"] for run in await line.runs(e)] == [1]
        assert (await line.searcher(e))["trials"] == 1
        with zipfile.ZipFile(tmp_path / "code.zip", "w") as packed:
            packed.writestr("train.py", "print(1)")
        made = await line.run(CONFIG, tmp_path / "code.zip")
        bundle = (await line.experiment(made["experiment_id"]))["bundle"]
        assert bundle["url"].endswith(".zip")
