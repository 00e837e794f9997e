"""`/v1/experiments/{id}/trials`: what is asked of single trials, by people and by the programs of
custom searches."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.base import Id
from shoal_contract.events import TrialCreateRequested, TrialExtendRequested, TrialStopRequested
from shoal_contract.states import TRIAL, TrialState, terminal
from shoal_gateway.core.changes import finite
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.answers.trials import TrialAsked, TrialExtensionAsked, TrialStopAsked
from shoal_gateway.shell.creations import Creation, creation
from shoal_gateway.shell.draws import Draws
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, wrong
from shoal_gateway.shell.routes.requests import ask, custom, under_way
from shoal_gateway.shell.routes.trials import trial

router = APIRouter(prefix="/v1/experiments/{experiment_id}/trials")

Target = Annotated[int, Field(ge=1)]


class NewTrial(BaseModel):
    """The body of a request for a trial."""

    model_config = ConfigDict(extra="forbid")

    hyperparameters: dict[str, Any]
    target: Target | None = None
    """How far to train at first, in units of the time metric; null: `max_time`."""
    request_id: Id | None = None
    """The program's own name for the request: sent again, it makes no second trial."""


class Extension(BaseModel):
    """The body of a request that a trial trains further."""

    model_config = ConfigDict(extra="forbid")

    target: Target
    """In units of the time metric."""


@router.post("", status_code=202, responses=told(TrialAsked, 202))
async def create(
    experiment_id: str,
    body: NewTrial,
    use: Annotated[Parts, Depends(parts)],
    new: Annotated[Creation, Depends(creation)],
) -> dict[str, Any]:
    """Have a configuration tried, in a custom search. `trial.created` tells the `request_id`."""

    async def make(draws: Draws) -> Row:
        return await _create(use, experiment_id, body, draws)

    return await new.once(body, make)


async def _create(use: Parts, experiment_id: str, body: NewTrial, draws: Draws) -> Row:
    await custom(use, experiment_id)
    if finite(body.hyperparameters) != body.hyperparameters:
        raise wrong("hyperparameters", "Every number of the hyperparameters must be finite.")
    request_id = body.request_id or draws.id("trial")
    event = TrialCreateRequested(
        experiment_id=experiment_id,
        request_id=request_id,
        hyperparameters=body.hyperparameters,
        target=body.target,
    )
    await ask(use, event, "create", request_id)
    return {"experiment_id": experiment_id, "requested": "create", "request_id": request_id}


@router.post("/{trial_id}/extend", status_code=202, responses=told(TrialExtensionAsked, 202, 409))
async def extend(
    experiment_id: str,
    trial_id: str,
    body: Extension,
    use: Annotated[Parts, Depends(parts)],
) -> dict[str, Any]:
    """Have a trial of a custom search train on, up to a new target."""
    await custom(use, experiment_id)
    found = await _not_over(use, experiment_id, trial_id)
    reached = max(found["target"] or 0, found["time"] or 0)
    if body.target <= reached and body.target != found["target"]:  # the same again does no harm
        detail = f"The trial {trial_id} goes up to {reached} already: its target must be greater."
        raise ProblemError(409, detail, kind="urn:shoal:problem:target")
    event = TrialExtendRequested(experiment_id=experiment_id, trial_id=trial_id, target=body.target)
    await ask(use, event, "extend")
    return {"trial_id": trial_id, "requested": "extend", "target": body.target}


@router.post("/{trial_id}/stop", status_code=202, responses=told(TrialStopAsked, 202, 409))
async def stop(
    experiment_id: str, trial_id: str, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """End one trial, of any search. Its experiment goes on without it."""
    return await _end(use, experiment_id, trial_id, "stop")


@router.post("/{trial_id}/kill", status_code=202, responses=told(TrialStopAsked, 202, 409))
async def kill(
    experiment_id: str, trial_id: str, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """End one trial, of any search, at once: without a last checkpoint."""
    return await _end(use, experiment_id, trial_id, "kill")


async def _end(use: Parts, experiment_id: str, trial_id: str, verb: str) -> dict[str, Any]:
    await under_way(use, experiment_id)
    found = await _not_over(use, experiment_id, trial_id)
    event = TrialStopRequested(
        experiment_id=experiment_id, trial_id=trial_id, at_once=verb == "kill"
    )
    await ask(use, event, verb)
    return {"trial_id": trial_id, "requested": verb, "state": found["state"]}


async def _not_over(use: Parts, experiment_id: str, trial_id: str) -> Row:
    found = await trial(experiment_id, trial_id, use)
    if terminal(TRIAL, TrialState(found["state"])):
        detail = f"The trial {trial_id} has ended: it is {found['state']}."
        raise ProblemError(409, detail, kind="urn:shoal:problem:ended")
    return found
