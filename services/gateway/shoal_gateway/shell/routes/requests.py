"""`/v1/experiments/{id}`: what is asked of an experiment."""

import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from shoal_bus.bus import ConflictError
from shoal_contract.base import Id
from shoal_contract.events import (
    Event,
    ExperimentCancelRequested,
    ExperimentChangeRequested,
    ExperimentEdited,
    ExperimentFinishRequested,
    ExperimentPauseRequested,
    ExperimentResumeRequested,
    ShareChangeRequested,
)
from shoal_contract.states import EXPERIMENT, ExperimentState, terminal
from shoal_contract.subjects import EXPERIMENTS, asked_of
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.answers.experiments import ChangeRequested, ExperimentRequested
from shoal_gateway.shell.conditions import ANY, IfMatch, if_match
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError
from shoal_gateway.shell.routes.experiments import experiment
from shoal_gateway.shell.routes.projects import open_project

router = APIRouter(prefix="/v1/experiments/{experiment_id}")

_REQUESTS: Mapping[str, Callable[..., Event]] = {
    "pause": ExperimentPauseRequested,
    "resume": ExperimentResumeRequested,
    "cancel": ExperimentCancelRequested,
    "kill": partial(ExperimentCancelRequested, at_once=True),
}


Label = Annotated[str, Field(min_length=1, max_length=100)]


class Change(BaseModel):
    """The body of a change. What is left out stays. `max_trials` and `max_concurrent_trials` are
    for searches that run; the rest may always be changed."""

    model_config = ConfigDict(extra="forbid")

    max_trials: Annotated[int, Field(ge=1)] | None = None
    max_concurrent_trials: Annotated[int, Field(ge=0)] | None = None
    """0: as many as there are."""
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    description: Annotated[str, Field(max_length=10_000)] | None = None
    labels: Annotated[list[Label], Field(max_length=100)] | None = None
    """All that it is to have."""
    notes: Annotated[str, Field(max_length=100_000)] | None = None
    """What was found out, as Markdown."""
    project: Id | None = None
    """Another one of its workspace."""


_NUMBERS = frozenset({"max_trials", "max_concurrent_trials"})


@router.patch("", status_code=202, responses=told(ChangeRequested, 202, 409))
async def change(
    experiment_id: str,
    body: Change,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> dict[str, Any]:
    """Change what an experiment is called and what is noted of it, move it to another project, or
    make a running search larger, smaller or wider. The row follows in a moment.

    With `If-Match`, the `ETag` that the experiment had, it is a 412 if someone else was faster.
    """
    asked = body.model_dump(exclude_none=True)
    if not asked:
        detail = f"There is nothing to change: send {', '.join(Change.model_fields)}."
        raise ProblemError(422, detail, kind="urn:shoal:problem:request")
    numbers = {name: asked[name] for name in asked if name in _NUMBERS}
    words = {name: asked[name] for name in asked if name not in _NUMBERS}
    found = await experiment(experiment_id, use)
    if (project := words.pop("project", None)) is not None:
        words["project_id"] = open_project(use, found["workspace"], project).project_id
    if numbers:
        await _check_numbers(use, experiment_id, numbers)
    if words:
        await ask_if(condition, use, ExperimentEdited(experiment_id=experiment_id, **words), "edit")
    if numbers:
        event = ExperimentChangeRequested(experiment_id=experiment_id, **numbers)
        await ask_if(ANY if words else condition, use, event, "change")
    return {"experiment_id": experiment_id, "requested": "change", **asked}


@router.post("/finish", status_code=202, responses=told(ExperimentRequested, 202, 409))
async def finish(experiment_id: str, use: Annotated[Parts, Depends(parts)]) -> dict[str, Any]:
    """Say that a custom search wants no more trials: it completes when the last have ended."""
    found = await custom(use, experiment_id)
    await ask(use, ExperimentFinishRequested(experiment_id=experiment_id), "finish")
    return {"experiment_id": experiment_id, "requested": "finish", "state": found["state"]}


@router.post("/{request}", status_code=202, responses=told(ExperimentRequested, 202, 409))
async def request(
    experiment_id: str,
    request: Literal["pause", "resume", "cancel", "kill"],
    use: Annotated[Parts, Depends(parts)],
) -> dict[str, Any]:
    """Ask that an experiment pauses, goes on, or ends (`kill`: without a last checkpoint). Its
    state follows in a moment."""
    found = await under_way(use, experiment_id)
    await ask(use, _REQUESTS[request](experiment_id=experiment_id), request)
    return {"experiment_id": experiment_id, "requested": request, "state": found["state"]}


async def _check_numbers(use: Parts, experiment_id: str, numbers: Row) -> None:
    searcher = (await under_way(use, experiment_id))["config"]["searcher"]
    for name in numbers:
        if name not in searcher:
            detail = (
                f"The method {searcher['name']} has no {name}: its config says how many trials"
                " there are, and when."
            )
            raise ProblemError(409, detail, kind="urn:shoal:problem:method")


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


async def ask(
    use: Parts, event: Event, verb: str, key: str | None = None, *, after: int | None = None
) -> None:
    """Publish what is asked for, once for each `key`, and wait until reads know of it. `after`: the
    last that was asked of the experiment; raises ConflictError if something else was since."""
    id = "-".join((verb, *event.key_values, key or secrets.token_hex(8)))
    among = None if after is None else asked_of(event.key_values[0])
    sequence = await use.publish(event, id, after, among)
    await use.projector.wait_for(EXPERIMENTS, sequence, use.settings.apply_timeout)


async def ask_if(
    condition: IfMatch,
    use: Parts,
    event: ExperimentEdited | ExperimentChangeRequested | ShareChangeRequested,
    verb: str,
) -> None:
    """The same of what changes an experiment, if a condition holds when it is changed."""
    if not condition.given:
        await ask(use, event, verb)
        return
    while True:
        last = await use.bus.last_of(EXPERIMENTS, asked_of(event.experiment_id))
        await use.projector.wait_for(EXPERIMENTS, last, use.settings.apply_timeout)
        condition.check(str((await experiment(event.experiment_id, use))["revision"]))
        try:
            await ask(use, event, verb, after=last)
        except ConflictError:
            continue  # someone was faster, maybe with what changes nothing: look again
        return
