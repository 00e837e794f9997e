"""Runs and the searcher's state: over HTTP, with the clients, and as the command prints them."""

import json
import zipfile
from pathlib import Path

import shoal
from shoal_contract.events import AllocationEnded, RunExited, SearchAccepted, SearchProposed
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
