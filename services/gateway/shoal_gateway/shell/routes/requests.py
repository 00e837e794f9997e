"""`/v1/experiments/{id}`: what is asked of an experiment."""

import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.events import (
    Event,
    ExperimentCancelRequested,
    ExperimentChangeRequested,
    ExperimentFinishRequested,
    ExperimentPauseRequested,
    ExperimentResumeRequested,
)
from shoal_contract.states import EXPERIMENT, ExperimentState, terminal
from shoal_contract.subjects import EXPERIMENTS
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError
from shoal_gateway.shell.routes.experiments import experiment
from shoal_gateway.shell.routes.submissions import publish

router = APIRouter(prefix="/v1/experiments/{experiment_id}")

_REQUESTS = {
    "pause": ExperimentPauseRequested,
    "resume": ExperimentResumeRequested,
    "cancel": ExperimentCancelRequested,
}


class Change(BaseModel):
    """The body of a change: numbers of the searcher's section. What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    max_trials: Annotated[int, Field(ge=1)] | None = None
    max_concurrent_trials: Annotated[int, Field(ge=0)] | None = None
    """0: as many as there are."""


@router.patch("", status_code=202)
async def change(
    experiment_id: str, body: Change, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """Make a running search larger, smaller or wider. The row follows in a moment."""
    numbers = body.model_dump(exclude_none=True)
    if not numbers:
        detail = "There is nothing to change: send max_trials or max_concurrent_trials."
        raise ProblemError(422, detail, kind="urn:shoal:problem:request")
    found = await under_way(use, experiment_id)
    searcher = found["config"]["searcher"]
    for name in numbers:
        if name not in searcher:
            detail = (
                f"The method {searcher['name']} has no {name}: its config says how many trials"
                " there are, and when."
            )
            raise ProblemError(409, detail, kind="urn:shoal:problem:method")
    await ask(use, ExperimentChangeRequested(experiment_id=experiment_id, **numbers), "change")
    return {"experiment_id": experiment_id, "requested": "change", **numbers}


@router.post("/finish", status_code=202)
async def finish(experiment_id: str, use: Annotated[Parts, Depends(parts)]) -> dict[str, Any]:
    """Say that a custom search wants no more trials: it completes when the last have ended."""
    found = await custom(use, experiment_id)
    await ask(use, ExperimentFinishRequested(experiment_id=experiment_id), "finish")
    return {"experiment_id": experiment_id, "requested": "finish", "state": found["state"]}


@router.post("/{request}", status_code=202)
async def request(
    experiment_id: str,
    request: Literal["pause", "resume", "cancel"],
    use: Annotated[Parts, Depends(parts)],
) -> dict[str, Any]:
    """Ask that an experiment pauses, goes on, or ends. Its state follows in a moment."""
    found = await under_way(use, experiment_id)
    await ask(use, _REQUESTS[request](experiment_id=experiment_id), request)
    return {"experiment_id": experiment_id, "requested": request, "state": found["state"]}


async def under_way(use: Parts, experiment_id: str) -> Row:
    """An experiment that has not ended; else a problem."""
    found = await experiment(experiment_id, use)
    if terminal(EXPERIMENT, ExperimentState(found["state"])):
        detail = f"The experiment {experiment_id} has ended: it is {found['state']}."
        raise ProblemError(409, detail, kind="urn:shoal:problem:ended")
    return found


async def custom(use: Parts, experiment_id: str) -> Row:
    """An experiment that a program drives and that has not ended; else a problem."""
    found = await under_way(use, experiment_id)
    name = found["config"]["searcher"]["name"]
    if name != "custom":
        detail = (
            f"The experiment {experiment_id} is not driven by a program: its searcher is {name},"
            " not custom."
        )
        raise ProblemError(409, detail, kind="urn:shoal:problem:method")
    return found


async def ask(use: Parts, event: Event, verb: str, key: str | None = None) -> None:
    """Publish what is asked for, once for each `key`, and wait until reads know of it."""
    id = "-".join((verb, *event.key_values, key or secrets.token_hex(8)))
    sequence = await publish(use, event, id)
    await use.projector.wait_for(EXPERIMENTS, sequence, use.settings.apply_timeout)
