"""`/v1/experiments/{id}`: experiments made from others, put away, and removed."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.events import Bundle, ExperimentArchived, ExperimentDeleted
from shoal_contract.parse import parse_experiment
from shoal_contract.states import EXPERIMENT, ExperimentState, terminal
from shoal_gateway.core import keys
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.lineage import changed, continued
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.answers.base import LOCATED, told
from shoal_gateway.shell.answers.experiments import DeletionRequested, ExperimentArchival, Submitted
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.creations import Creation, creation
from shoal_gateway.shell.draws import Draws
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError
from shoal_gateway.shell.routes.checkpoints import drop, saved
from shoal_gateway.shell.routes.experiments import experiment
from shoal_gateway.shell.routes.requests import ask
from shoal_gateway.shell.routes.submissions import Draft, accept, located
from shoal_gateway.shell.routes.trials import trial

router = APIRouter(prefix="/v1/experiments/{experiment_id}")

MOST_FORGOTTEN = 50_000
"""Trials that the event of a deletion names. The read models know all of them."""


class Fork(BaseModel):
    """The body of a fork."""

    model_config = ConfigDict(extra="forbid")

    changes: dict[str, Any] = Field(default_factory=dict)
    """A part of a config; null takes a field away (RFC 7396)."""


class Continuation(Fork):
    """The body of a request to go on from a trial."""

    max_time: Annotated[int, Field(ge=1)] | None = None
    """How long to train, in units of the time metric; null: as long as the trial's experiment."""


@router.post("/fork", status_code=201, responses=told(Submitted, 201, headers=LOCATED))
async def fork(
    experiment_id: str,
    body: Fork,
    response: Response,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    new: Annotated[Creation, Depends(creation)],
) -> dict[str, Any]:
    """A new experiment, with the code and the config of this one and with changes."""

    async def make(draws: Draws) -> Row:
        found = await experiment(experiment_id, use)
        config = parse_experiment(changed(_named(found), body.changes))
        draft = Draft(config, _bundle(found), forked_from=experiment_id)
        return await accept(use, who, draft, draws)

    return located(await new.once(body, make), response)


@router.post(
    "/trials/{trial_id}/continue", status_code=201, responses=told(Submitted, 201, headers=LOCATED)
)
async def go_on(
    experiment_id: str,
    trial_id: str,
    body: Continuation,
    response: Response,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    new: Annotated[Creation, Depends(creation)],
) -> dict[str, Any]:
    """A new experiment of one trial: this one's hyperparameters, from its newest checkpoint."""

    async def make(draws: Draws) -> Row:
        draft = await _continuation(use, experiment_id, trial_id, body)
        return await accept(use, who, draft, draws)

    return located(await new.once(body, make), response)


async def _continuation(use: Parts, experiment_id: str, trial_id: str, body: Continuation) -> Draft:
    found = await experiment(experiment_id, use)
    before = await trial(experiment_id, trial_id, use)
    if before["checkpoint"] is None:
        detail = f"The trial {trial_id} has no checkpoint to go on from."
        raise ProblemError(409, detail, kind="urn:shoal:problem:checkpoint")
    config = continued(_named(found), trial_id, before["hyperparameters"], body.max_time)
    draft = parse_experiment(changed(config, body.changes))
    return Draft(draft, _bundle(found), continues=trial_id)


@router.post("/archive", status_code=202, responses=told(ExperimentArchival, 202, 409))
async def archive(experiment_id: str, use: Annotated[Parts, Depends(parts)]) -> dict[str, Any]:
    """Leave an experiment that has ended out of lists."""
    await _over(use, experiment_id)
    return await _archive(use, experiment_id, archived=True)


@router.post("/unarchive", status_code=202, responses=told(ExperimentArchival, 202))
async def unarchive(experiment_id: str, use: Annotated[Parts, Depends(parts)]) -> dict[str, Any]:
    """Put an archived experiment back into lists."""
    await experiment(experiment_id, use)
    return await _archive(use, experiment_id, archived=False)


@router.delete("", status_code=202, responses=told(DeletionRequested, 202, 409))
async def delete(experiment_id: str, use: Annotated[Parts, Depends(parts)]) -> dict[str, Any]:
    """Remove an experiment that has ended. Its checkpoints go as soon as no trial needs them."""
    await _over(use, experiment_id)
    kept = await saved(use, experiment_id)
    if pinned := [c["checkpoint_id"] for c in kept if c["state"] == "pinned"]:
        detail = f"It has checkpoints that are pinned: unpin {', '.join(pinned[:3])} first."
        raise ProblemError(409, detail, kind="urn:shoal:problem:pinned")
    for row in kept:
        if row["state"] == "saved":
            await drop(use, experiment_id, row)
    trial_ids = await use.store.members(keys.trials(experiment_id))
    event = ExperimentDeleted(experiment_id=experiment_id, trial_ids=trial_ids[:MOST_FORGOTTEN])
    await ask(use, event, "delete", "once")
    return {"experiment_id": experiment_id, "requested": "delete"}


async def _archive(use: Parts, experiment_id: str, *, archived: bool) -> dict[str, Any]:
    event = ExperimentArchived(experiment_id=experiment_id, archived=archived)
    await ask(use, event, "archive")
    return {"experiment_id": experiment_id, "archived": archived}


async def _over(use: Parts, experiment_id: str) -> Row:
    """An experiment that has ended; else a problem."""
    found = await experiment(experiment_id, use)
    if not terminal(EXPERIMENT, ExperimentState(found["state"])):
        detail = f"The experiment {experiment_id} is {found['state']}: stop it first."
        raise ProblemError(409, detail, kind="urn:shoal:problem:running")
    return found


def _named(found: Row) -> dict[str, Any]:
    """An experiment's config, as people call it now."""
    config: dict[str, Any] = found["config"]
    return config | {name: found[name] for name in ("name", "description", "labels", "project")}


def _bundle(found: Row) -> Bundle | None:
    return None if found["bundle"] is None else Bundle.model_validate(found["bundle"])
