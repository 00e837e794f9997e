"""`/mlflow/api/2.0/mlflow/…`."""

import secrets
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from shoal_contract.events import TrackingRunChanged, TrackingRunCreated
from shoal_contract.roles import Role
from shoal_gateway.core import run_filter
from shoal_gateway.core.changes import finite
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.projections.tracking import tags_of
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.answers import tracking as answers
from shoal_gateway.shell.answers.base import told, written
from shoal_gateway.shell.artifacts import uri
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.mlflow.book import Book, Its, as_metrics
from shoal_gateway.shell.mlflow.errors import MlflowRoute
from shoal_gateway.shell.mlflow.models import (
    ChangeExperiment,
    CreateExperiment,
    CreateRun,
    OfRun,
    Search,
    SearchRuns,
    TagExperiment,
    UntagExperiment,
    UntagRun,
    UpdateRun,
)
from shoal_gateway.shell.mlflow.reports import router as reports
from shoal_gateway.shell.problems import PATH, ProblemError, unknown, wrong

router = APIRouter(prefix="/mlflow/api/2.0/mlflow", route_class=MlflowRoute, tags=["mlflow"])
router.include_router(reports)
elsewhere = APIRouter(prefix="/mlflow", route_class=MlflowRoute, include_in_schema=False)
Answer = dict[str, Any]
RUN_NAME = "mlflow.runName"
HISTORY = 25_000
"""Points of a history in one answer, unless fewer are asked for."""


@router.post("/experiments/create", responses=told(answers.MlflowExperimentCreated))
async def create_experiment(body: CreateExperiment, its: Its) -> Answer:
    """Make an experiment. With the tag `shoal.workspace`, in that workspace."""
    return {"experiment_id": await its.create(body.name, body.tags)}


@router.get("/experiments/get", responses=told(answers.MlflowExperimentFound))
async def get_experiment(experiment_id: str, its: Its) -> Answer:
    """An experiment by its id."""
    return {"experiment": _experiment(await its.experiment(experiment_id))}


@router.get("/experiments/get-by-name", responses=told(answers.MlflowExperimentFound))
async def get_experiment_by_name(experiment_name: str, its: Its) -> Answer:
    """An experiment by its name."""
    return {"experiment": _experiment(await its.named(experiment_name))}


@router.post("/experiments/update", responses=told(answers.MlflowNothing))
async def update_experiment(body: ChangeExperiment, its: Its) -> Answer:
    """Call an experiment something else."""
    await its.change(body.experiment_id, name=body.new_name)
    return {}


@router.post("/experiments/set-experiment-tag", responses=told(answers.MlflowNothing))
async def set_experiment_tag(body: TagExperiment, its: Its) -> Answer:
    """One tag."""
    await its.change(body.experiment_id, tags={body.key: body.value})
    return {}


@router.post("/experiments/delete-experiment-tag", responses=told(answers.MlflowNothing))
async def delete_experiment_tag(body: UntagExperiment, its: Its) -> Answer:
    """One tag less."""
    if body.key not in tags_of(await its.experiment(body.experiment_id, Role.EDITOR)):
        raise unknown("tag", body.key)
    await its.change(body.experiment_id, tags={body.key: None})
    return {}


@router.post("/experiments/search", responses=told(answers.MlflowExperimentsFound))
async def search_experiments(body: Search, its: Its) -> Answer:
    """Experiments that the caller may see. `filter` compares `name` and tags."""
    wanted = run_filter.parse(body.filter)
    found = [_experiment(row) for row in await its.experiments()]
    kept = [e for e in found if wanted(_look_at_experiment(e))]
    run_filter.order(body.order_by)(kept, _look_at_experiment)
    return _page("experiments", kept, body)


@router.post("/runs/create", responses=told(answers.MlflowRunFound))
async def create_run(body: CreateRun, its: Its, who: Annotated[Caller, Depends(caller)]) -> Answer:
    """Begin a run."""
    experiment = await its.experiment(body.experiment_id, Role.EDITOR)
    run_id = secrets.token_hex(16)
    tags = {tag.key: tag.value for tag in body.tags}
    name = body.run_name or tags.get(RUN_NAME) or f"run-{run_id[:6]}"
    event = TrackingRunCreated(
        experiment_id=experiment["experiment_id"],
        run_id=run_id,
        name=name,
        user=who.user,
        start_time=body.start_time or int(time.time() * 1000),
        tags=tags | {RUN_NAME: name},
    )
    await its.say(event, f"run-{run_id}")
    return {"run": await _whole(its, run_id)}


@router.get("/runs/get", responses=told(answers.MlflowRunFound))
async def get_run(run_id: str, its: Its) -> Answer:
    """A run with all that was logged."""
    return {"run": await _whole(its, run_id)}


@router.post("/runs/update", responses=told(answers.MlflowRunUpdated))
async def update_run(body: UpdateRun, its: Its) -> Answer:
    """Say that a run ended, or call it something else."""
    run = await its.run(body.run_id, Role.EDITOR)
    event = TrackingRunChanged(
        experiment_id=run["experiment_id"],
        run_id=body.run_id,
        status=body.status,
        end_time=body.end_time,
        name=body.run_name or None,
    )
    await its.say(event)
    return {"run_info": (await _whole(its, body.run_id))["info"]}


@router.post("/runs/delete-tag", responses=told(answers.MlflowNothing))
async def delete_tag(body: UntagRun, its: Its) -> Answer:
    """One tag less."""
    await its.remove_tag(body.run_id, body.key)
    return {}


@router.post("/runs/delete", responses=told(answers.MlflowNothing))
async def delete_run(body: OfRun, its: Its) -> Answer:
    """Put a run out of the way; its numbers stay."""
    return await _delete(body.run_id, its, deleted=True)


@router.post("/runs/restore", responses=told(answers.MlflowNothing))
async def restore_run(body: OfRun, its: Its) -> Answer:
    """Bring a deleted run back."""
    return await _delete(body.run_id, its, deleted=False)


@router.post("/runs/search", responses=told(answers.MlflowRunsFound))
async def search_runs(body: SearchRuns, its: Its) -> Answer:
    """Runs of some experiments, the newest first; see `core.run_filter` for `filter`."""
    wanted = run_filter.parse(body.filter)
    found = [_run(r) for e in body.experiment_ids for r in await its.runs(e)]
    stage = {"ACTIVE_ONLY": "active", "DELETED_ONLY": "deleted"}.get(body.run_view_type)
    kept = [r for r in found if stage is None or r["info"]["lifecycle_stage"] == stage]
    kept = [r for r in kept if wanted(_look_at_run(r))]
    run_filter.order(body.order_by)(kept, _look_at_run)
    return _page("runs", kept, body)


@router.post("/logged-models/search", responses=told(answers.MlflowModels))
async def search_models() -> Answer:
    """None: models are not kept here. Clients ask before they list a run's artifacts."""
    return {"models": []}


@router.get("/metrics/get-history", responses=told(answers.MlflowHistory))
async def get_history(
    run_id: str,
    metric_key: str,
    its: Its,
    max_results: Annotated[int, Query(ge=1, le=100_000)] = HISTORY,
    page_token: str = "",
) -> Response:
    """All that was logged of a metric."""
    run = await its.run(run_id)
    points = await its.points(run["experiment_id"], [run_id], [metric_key])
    first = _offset(page_token)
    answer: Answer = {"metrics": as_metrics(points.slice(first, max_results))}
    if first + max_results < len(points):
        answer["next_page_token"] = str(first + max_results)
    return written(answer)


@elsewhere.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def nothing(path: str, request: Request) -> None:
    """What MLflow's client knows and this does not, in a form that it can read."""
    detail = f"Shoal has no {request.method} /{path} of MLflow's."
    raise ProblemError(404, detail, kind=PATH)


async def _delete(run_id: str, its: Book, *, deleted: bool) -> Answer:
    run = await its.run(run_id, Role.EDITOR)
    await its.say(
        TrackingRunChanged(experiment_id=run["experiment_id"], run_id=run_id, deleted=deleted)
    )
    return {}


async def _whole(its: Book, run_id: str) -> Answer:
    run = await its.run(run_id)
    return _run((await its.whole(run["experiment_id"], [run_id]))[0])


def _experiment(row: Row) -> Answer:
    milliseconds = int(row["at"] * 1000)
    return {
        "experiment_id": row["experiment_id"],
        "name": row["name"],
        "artifact_location": uri(row["experiment_id"]),
        "lifecycle_stage": "active",
        "creation_time": milliseconds,
        "last_update_time": milliseconds,
        "tags": _pairs(tags_of(row)),
    }


def _run(found: dict[str, Any]) -> Answer:
    row = found["row"]
    info = {
        "run_id": row["run_id"],
        "run_uuid": row["run_id"],
        "experiment_id": row["experiment_id"],
        "run_name": row["name"],
        "user_id": row["user"],
        "status": row["status"],
        "start_time": row["start_time"],
        "end_time": row.get("end_time"),
        "artifact_uri": uri(row["experiment_id"], row["run_id"]),
        "lifecycle_stage": "deleted" if row.get("deleted") else "active",
    }
    data = {
        "metrics": finite(found["metrics"]),
        "params": _pairs(found["params"]),
        "tags": _pairs(found["tags"]),
    }
    return {"info": {k: v for k, v in info.items() if v is not None}, "data": data}


def _pairs(found: dict[str, str]) -> list[Answer]:
    return [{"key": key, "value": value} for key, value in found.items()]


def _look_at_run(run: Answer) -> run_filter.Run:
    data = {
        kind: {item["key"]: item["value"] for item in run["data"][kind]}
        for kind in ("metrics", "params", "tags")
    }
    return data | {"attributes": run["info"]}


def _look_at_experiment(experiment: Answer) -> run_filter.Run:
    tags = {tag["key"]: tag["value"] for tag in experiment["tags"]}
    return {"attributes": experiment, "tags": tags, "metrics": {}, "params": {}}


def _page(name: str, items: list[Answer], body: Search) -> Answer:
    first = _offset(body.page_token)
    answer: Answer = {name: items[first : first + body.max_results]}
    if first + body.max_results < len(items):
        answer["next_page_token"] = str(first + body.max_results)
    return answer


def _offset(token: str) -> int:
    if token and not (token.isascii() and token.isdigit() and len(token) < 10):
        raise wrong("page_token", "The page_token is none of ours.", 400)
    return int(token or 0)
