"""`POST /v1/experiments`: what becomes of a config that someone sends."""

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated, Any

import fsspec
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.base import Id
from shoal_contract.config import ExperimentConfig
from shoal_contract.deadline import deadline_at
from shoal_contract.events import Bundle, ExperimentSubmitted
from shoal_contract.parse import ConfigError, Problem, parse_experiment
from shoal_contract.storage import unusable
from shoal_contract.subjects import EXPERIMENTS, all_of
from shoal_gateway.core import keys
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.ledger.state import DEFAULT
from shoal_gateway.core.lineage import changed
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.answers.base import LOCATED, told
from shoal_gateway.shell.answers.experiments import Submitted
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.creations import Creation, creation
from shoal_gateway.shell.draws import Draws
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError
from shoal_gateway.shell.routes.projects import open_project
from shoal_gateway.shell.routes.secrets import kept
from shoal_gateway.shell.routes.templates import template
from shoal_gateway.shell.rules import editor_of
from shoal_gateway.shell.writes import wrote

router = APIRouter(prefix="/v1")


class Submission(BaseModel):
    """The body of a submission."""

    model_config = ConfigDict(extra="forbid")

    config: Any
    bundle: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The SHA-256 of a bundle that was stored before."""
    template: Id | None = None
    """A template of the config's workspace, which the config changes and adds to."""


@router.post("/experiments", status_code=201, responses=told(Submitted, 201, 404, headers=LOCATED))
async def submit(
    body: Submission,
    response: Response,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    new: Annotated[Creation, Depends(creation)],
) -> dict[str, Any]:
    """Accept an experiment. Once this returns 201, it will come to an end, whatever dies."""

    async def make(draws: Draws) -> Row:
        config = parse_experiment(_on_template(use, who, body))
        draft = Draft(config, await _bundle(use, body.bundle))
        return await accept(use, who, draft, draws)

    return located(await new.once(body, make), response)


def _on_template(use: Parts, who: Caller, body: Submission) -> Any:
    """The config, on top of its template if it has one."""
    if body.template is None or not isinstance(body.config, dict):
        return body.config
    resources = body.config.get("resources")
    workspace = resources.get("workspace", DEFAULT) if isinstance(resources, dict) else DEFAULT
    editor_of(use, who, str(workspace))
    return changed(template(use, str(workspace), body.template).config, body.config)


@dataclass(frozen=True, slots=True)
class Draft:
    """An experiment before it is one."""

    config: ExperimentConfig
    bundle: Bundle | None
    forked_from: str | None = None
    continues: str | None = None


async def accept(use: Parts, who: Caller, draft: Draft, draws: Draws) -> Row:
    """Accept an experiment; the answer says where it is."""
    config = draft.config
    editor_of(use, who, config.resources.workspace)
    await _check_sources(use, who, config)
    await _check_storage(config)
    project = open_project(use, config.resources.workspace, config.project)
    experiment_id = draws.word("experiment", 6)
    base = config.checkpoint_storage.url or use.settings.storage_url
    event = ExperimentSubmitted(
        experiment_id=experiment_id,
        config=config,
        bundle=draft.bundle,
        storage_url=f"{base.rstrip('/')}/experiments/{experiment_id}",
        owner=who.user,
        forked_from=draft.forked_from,
        continues=draft.continues,
        project_id=project.project_id,
    )
    known = all_of("experiment.submitted", experiment_id)
    sequence = await use.bus.last_of(EXPERIMENTS, known) if draws.repeatable else 0
    if sequence:  # a repetition
        wrote(EXPERIMENTS, sequence)
    else:
        await _check_deadline(use, config)
        sequence = await use.publish(event, f"submit-{experiment_id}")
    await use.projector.wait_for(EXPERIMENTS, sequence, use.settings.apply_timeout)
    location = f"/v1/experiments/{experiment_id}"
    return {"experiment_id": experiment_id, "name": config.name, "url": location}


def located(answer: Row, response: Response) -> Row:
    """The answer to a submission, whose `Location` a response tells, too."""
    response.headers["Location"] = answer["url"]
    return answer


async def _check_sources(use: Parts, who: Caller, config: ExperimentConfig) -> None:
    """Raise ConfigError if the config starts from experiments or a trial that are not there, or
    asks for secrets that are not."""
    earlier = list(getattr(config.searcher, "warm_start", ()))
    problems = [
        Problem(path=f"searcher.warm_start.{number}", message=f"there is no experiment {name!r}")
        for number, name in enumerate(earlier)
        if not await use.directory.sees(who, name)
    ]
    source = config.searcher.source_trial_id
    if source is not None and not await _sees_trial(use, who, source):
        message = f"there is no trial {source!r}"
        problems.append(Problem(path="searcher.source_trial_id", message=message))
    workspace, wanted = config.resources.workspace, config.environment.secrets
    known = [e.name for e in await kept(use, workspace)] if wanted else []
    for number, name in enumerate(wanted):
        if name not in known:
            message = f"the workspace {workspace} has no secret {name!r}"
            problems.append(Problem(path=f"environment.secrets.{number}", message=message))
    if problems:
        raise ConfigError(problems)


async def _check_storage(config: ExperimentConfig) -> None:
    url = config.checkpoint_storage.url
    if url is None:
        return
    load = fsspec.get_filesystem_class
    why = await asyncio.to_thread(unusable, url, load, "shoal-gateway")
    if why is not None:
        raise ConfigError([Problem(path="checkpoint_storage.url", message=why)])


async def _check_deadline(use: Parts, config: ExperimentConfig) -> None:
    """Raise ConfigError for a deadline that is over, or that no pool of the experiment minds."""
    if config.deadline is None:
        return
    now, message = time.time(), ""
    rows = await use.store.rows([keys.pool(name) for name in config.resources.pools])
    if deadline_at(config.deadline, now) <= now:
        message = f"{config.deadline} is over"
    elif all(
        row.get("provisioning") == "spot" and row["deadline_policy"] == "none" for row in rows
    ):
        names = " and ".join(config.resources.pools)
        message = f"{names} minds no deadlines: that takes `deadline_policy: uniform_progress`"
    if message:
        raise ConfigError([Problem(path="deadline", message=message)])


async def _sees_trial(use: Parts, who: Caller, trial_id: str) -> bool:
    row = await use.store.row(keys.trial(trial_id))
    return "number" in row and await use.directory.sees(who, row["experiment_id"])


async def _bundle(use: Parts, sha256: str | None) -> Bundle | None:
    if sha256 is None:
        return None
    bundle = await use.bundles.find(sha256)
    if bundle is None:
        detail = f"There is no bundle {sha256}. Send it to POST /v1/bundles first."
        raise ProblemError(422, detail, kind="urn:shoal:problem:bundle")
    return bundle
