"""Every route that answers in JSON answers as the published OpenAPI document says. Each request of
all tests of the gateway is checked (`answers.py`); here each route is asked once."""

from typing import Any

from shoal_contract.events import (
    Checkpoint,
    CheckpointSaved,
    Event,
    LogWritten,
    SearchCompleted,
    TrainingReported,
    TrialCompleted,
)
from shoal_contract.events.instance import (
    InstanceFailed,
    InstanceJoined,
    InstanceMetered,
    InstanceRequested,
    InstanceStarted,
    PoolConfigured,
    PoolLimits,
    WorkLost,
)
from shoal_contract.events.search import BestTrial

from .answers import in_json
from .conftest import Gateway
from .test_access import PASSWORD
from .test_gateway import publish, tar, trial_events

ELSEWHERE = {
    ("POST", "/v1/login/setup"),  # of a platform without users: test_access.py
    ("POST", "/v1/login/oidc/token"),  # of one with a provider: test_oidc.py
    ("GET", "/v1/feed"),  # of one with a feed: feed/test_reading.py
}
RED = "/v1/workspaces/red"
MLFLOW = "/mlflow/api/2.0/mlflow"


def machines(e: str) -> list[Event]:
    """What a pool and its machines bring."""
    its = {"pool": "default", "instance_id": "i1"}
    metered: dict[str, Any] = {
        **its, "use": "used", "slots": 2, "shares": {f"{e}-0-a1": 1}, "kind": "a2", "spot": True,
    }  # fmt: skip
    limits = PoolLimits(mode="act", min_instances=0, max_instances=4)
    return [
        PoolConfigured(
            pool="default", driver="local", provisioning="spot", deadline_policy="none",
            kinds=["a2"], zones=[], limits=limits, at=1.0,
        ),
        InstanceRequested(**its, slots=2, reason="r", at=1.0, kind="a2", price=1.0, spot=True),
        InstanceStarted(**its, at=2.0),
        InstanceJoined(**its, node_id="n1", at=3.0),
        InstanceMetered(
            **metered, next_shares={f"{e}-0-a1": 1}, since=3.0, at=603.0, cost=0.2, list_cost=0.5
        ),
        WorkLost(**its, allocation_id=f"{e}-0-a1", seconds=60.0, cost=0.02, at=603.0),
        InstanceRequested(pool="default", instance_id="i2", slots=2, reason="r", at=4.0),
        InstanceFailed(pool="default", instance_id="i2", reason="r", at=5.0, cause="quota"),
    ]  # fmt: skip


def reports(e: str) -> list[Event]:
    """What a trial brings."""
    its: dict[str, Any] = {"experiment_id": e, "trial_id": f"{e}-0", "allocation_id": f"{e}-0-a1"}
    checkpoint = Checkpoint(url="file:///c", step=4, attempt=1)
    return [
        TrainingReported(**its, attempt=1, step=1, metrics={"loss": float("nan")}, at=1.0),
        CheckpointSaved(**its, checkpoint=checkpoint),
        LogWritten(**its, rank=0, stream="stdout", lines=["a", "b"], sequence=0, at=1.0),
    ]


async def good(gateway: Gateway, method: str, path: str, body: Any = None) -> Any:
    answer = await gateway.http.request(method, path, json=body)
    assert answer.is_success, f"{method} {path}: {answer.text}"
    return answer.json() if answer.content else None


async def people(gateway: Gateway) -> None:
    await good(gateway, "GET", "/v1/me")
    await good(gateway, "POST", "/v1/users", {"user": "ada", "password": PASSWORD})
    await good(gateway, "GET", "/v1/users/ada")
    await good(gateway, "PATCH", "/v1/users/ada", {"role": "viewer"})
    await good(gateway, "POST", "/v1/login", {"user": "ada", "password": PASSWORD})
    token = await good(gateway, "POST", "/v1/tokens", {"name": "ci"})
    await good(gateway, "GET", f"/v1/tokens/{token['token_id']}")
    await good(gateway, "POST", "/v1/workspaces", {"workspace": "red"})
    await good(gateway, "POST", f"{RED}/projects", {"name": "cells"})
    await good(gateway, "PATCH", f"{RED}/projects/cells", {"archived": True})
    await good(gateway, "PUT", f"{RED}/members/ada", {"role": "editor"})
    await good(gateway, "GET", f"{RED}/members/ada")
    await good(gateway, "PUT", f"{RED}/secrets/KEY", {"value": "x"})
    await good(gateway, "GET", f"{RED}/secrets/KEY")
    hook = {"url": "https://93.184.215.14/x", "events": ["search."]}
    its = f"{RED}/webhooks/{(await good(gateway, 'POST', f'{RED}/webhooks', hook))['webhook_id']}"
    await good(gateway, "GET", its)
    await good(gateway, "PATCH", its, {"events": ["trial."]})
    await good(gateway, "PATCH", RED, {"description": "x"})
    await good(gateway, "PUT", f"{RED}/templates/t", {"max_restarts": 1})
    for path in ("users", "tokens", "workspaces", "audit"):
        assert (await good(gateway, "GET", f"/v1/{path}"))["items"]
    for path in ("", "/secrets", "/webhooks", "/templates", "/templates/t", "/projects"):
        await good(gateway, "GET", f"{RED}{path}")
    await good(gateway, "GET", f"{RED}/projects/cells")


async def models(gateway: Gateway, checkpoint: str) -> None:
    await good(gateway, "POST", f"{RED}/models", {"name": "m"})
    version = {"checkpoint_id": checkpoint}
    await good(gateway, "POST", f"{RED}/models/m/versions", version)
    await good(gateway, "PATCH", f"{RED}/models/m/versions/1", {"stage": "staging"})
    await good(gateway, "PATCH", f"{RED}/models/m", {"description": "x"})
    assert (await good(gateway, "GET", f"{RED}/models"))["items"]
    for path in ("", "/versions", "/versions/1"):
        await good(gateway, "GET", f"{RED}/models/m{path}")


async def one_that_trains(gateway: Gateway) -> None:
    e = await gateway.submit(resources={"workspace": "red"})
    path = f"/v1/experiments/{e}"
    one, other = f"{path}/trials/{e}-0", f"{path}/trials/{e}-1"
    await publish(gateway, *trial_events(e), *machines(e), *reports(e))
    [saved] = (await gateway.until(f"{path}/checkpoints", lambda c: c["items"]))["items"]
    await gateway.until(f"{path}/metrics", lambda m: m["items"])
    await good(gateway, "GET", f"{path}/metrics?group=training&superseded=true")
    await good(gateway, "GET", f"/v1/metrics?group=training&trials={e}-0")
    await good(gateway, "GET", f"{path}/logs")
    for name in ("trials", "runs", "searcher"):
        await good(gateway, "GET", f"{path}/{name}")
    await good(gateway, "GET", one)
    await good(gateway, "GET", f"{one}/explain")
    await gateway.until("/v1/pools", lambda p: p["items"])
    for name in ("nodes", "instances", "cost", "pools/default"):
        await good(gateway, "GET", f"/v1/{name}")
    await models(gateway, saved["checkpoint_id"])
    kept = f"{path}/checkpoints/{saved['checkpoint_id']}"
    await good(gateway, "POST", f"{kept}/unpin")
    await gateway.until(kept, lambda c: c["state"] == "saved")
    await good(gateway, "PATCH", path, {"max_trials": 9, "labels": ["a"]})
    await good(gateway, "PATCH", f"{path}/share", {"weight": 2.0})
    await good(gateway, "POST", f"{path}/pause")
    await good(gateway, "POST", f"{one}/continue", {})
    await good(gateway, "POST", f"{path}/fork", {})
    waiting = [event for event in trial_events(e) if event.type == "allocation.queued"]
    for number in (1, 2):
        name = {"trial_id": f"{e}-{number}", "allocation_id": f"{e}-{number}-a1"}
        created = trial_events(e)[1].model_copy(update=name | {"number": number})
        await publish(gateway, created, waiting[0].model_copy(update=name))
    await gateway.until("/v1/queue", lambda q: len(q["items"]) == 2)
    itself = await gateway.http.post(f"{other}/move", json={"ahead_of": f"{e}-1"})
    assert itself.status_code == 422
    await good(gateway, "POST", f"{other}/move", {"ahead_of": f"{e}-2"})
    await good(gateway, "POST", f"{other}/stop")
    await good(gateway, "POST", f"{other}/kill")
    best = BestTrial(
        trial_id=f"{e}-0", metric=0.5, step=2, hyperparameters={}, checkpoint=None,
        metrics={"loss": 0.5},
    )  # fmt: skip
    done = SearchCompleted(experiment_id=e, reason="done", best=best, front=[best])
    await publish(gateway, TrialCompleted(experiment_id=e, trial_id=f"{e}-0", reason="d"), done)
    await gateway.until(path, lambda row: row["state"] == "completed")
    await good(gateway, "POST", f"{path}/archive")
    await good(gateway, "POST", f"{path}/unarchive")
    assert (await good(gateway, "GET", "/v1/experiments"))["items"]
    await good(gateway, "DELETE", kept)
    await good(gateway, "DELETE", path)


async def one_that_a_program_drives(gateway: Gateway) -> None:
    e = await gateway.submit(searcher={"name": "custom", "metric": "loss", "max_time": 10})
    path = f"/v1/experiments/{e}"
    await good(gateway, "POST", f"{path}/trials", {"hyperparameters": {"lr": 0.1}})
    created = trial_events(e)[1:3]
    await publish(gateway, *created)
    await gateway.until(f"{path}/trials/{e}-0", lambda t: t["state"] == "wanted")
    await good(gateway, "POST", f"{path}/trials/{e}-0/extend", {"target": 20})
    await good(gateway, "POST", f"{path}/finish")


async def one_that_logs(gateway: Gateway) -> None:
    made = await good(gateway, "POST", f"{MLFLOW}/experiments/create", {"name": "x"})
    await good(gateway, "GET", f"{MLFLOW}/experiments/get?experiment_id={made['experiment_id']}")
    await good(gateway, "GET", f"{MLFLOW}/experiments/get-by-name?experiment_name=x")
    await good(gateway, "POST", f"{MLFLOW}/experiments/search", {})
    run = (await good(gateway, "POST", f"{MLFLOW}/runs/create", made))["run"]["info"]["run_id"]
    its, pair = {"run_id": run}, {"key": "k", "value": "v"}
    points = [{"key": "m", "value": v, "timestamp": 1, "step": 1} for v in (0.5, "NaN")]
    await good(gateway, "POST", f"{MLFLOW}/runs/log-metric", its | points[0])
    await good(gateway, "POST", f"{MLFLOW}/runs/log-batch", its | {"metrics": points})
    for name in ("log-parameter", "set-tag"):
        await good(gateway, "POST", f"{MLFLOW}/runs/{name}", its | pair)
    await good(gateway, "GET", f"{MLFLOW}/runs/get?run_id={run}")
    await good(gateway, "GET", f"{MLFLOW}/metrics/get-history?run_id={run}&metric_key=m")
    await good(
        gateway, "POST", f"{MLFLOW}/runs/search", {"experiment_ids": [made["experiment_id"]]}
    )
    await good(gateway, "POST", f"{MLFLOW}/runs/update", its | {"status": "FINISHED"})
    await good(gateway, "POST", f"{MLFLOW}/runs/delete-tag", its | {"key": "k"})
    of = {"experiment_id": made["experiment_id"]}
    await good(gateway, "POST", f"{MLFLOW}/experiments/update", of | {"new_name": "y"})
    await good(gateway, "POST", f"{MLFLOW}/experiments/set-experiment-tag", of | pair)
    await good(gateway, "POST", f"{MLFLOW}/experiments/delete-experiment-tag", of | pair)
    await good(gateway, "POST", f"{MLFLOW}/logged-models/search", {})
    files = "/mlflow/api/2.0/mlflow-artifacts/artifacts"
    where = f"{made['experiment_id']}/{run}/artifacts"
    await good(gateway, "PUT", f"{files}/{where}/x", {})
    await good(gateway, "GET", f"{files}?path={where}")
    for name in ("delete", "restore"):
        await good(gateway, "POST", f"{MLFLOW}/runs/{name}", its)


async def test_every_route_answers_as_it_says(keyed: Gateway) -> None:
    await good(keyed, "GET", "/livez")
    await good(keyed, "GET", "/readyz")
    assert (await keyed.http.post("/v1/bundles", content=tar())).status_code == 201
    await people(keyed)
    await one_that_trains(keyed)
    await one_that_a_program_drives(keyed)
    await one_that_logs(keyed)
    for verb, body in (("PATCH", {"max_instances": 3}), ("POST", {}), ("POST", None)):
        at = {"PATCH": "", "POST": "/drain" if body is not None else "/resume"}[verb]
        await good(keyed, verb, f"/v1/pools/default{at}", body)
    assert in_json() - ELSEWHERE - keyed.checked.operations == set()
