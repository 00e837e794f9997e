"""`POST /v1/experiments`: what becomes of a config that someone sends."""

import asyncio
import hashlib
import json
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from shoal_bus.bus import Bus
from shoal_contract.config import ExperimentConfig
from shoal_contract.events import Bundle, Event, ExperimentSubmitted
from shoal_contract.parse import ConfigError, Problem, parse_experiment
from shoal_contract.subjects import EXPERIMENTS
from shoal_gateway.core import keys
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError
from shoal_gateway.shell.redis_store import RedisStore

router = APIRouter(prefix="/v1")

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without characters that are taken for one another (0 and o, 1, i and l)."""
REMEMBERED = 24 * 3600
"""Seconds for which an `Idempotency-Key` is known."""
OWNER = "local"


class Submission(BaseModel):
    """The body of a submission."""

    model_config = ConfigDict(extra="forbid")

    config: Any
    bundle: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The SHA-256 of a bundle that was stored before."""


@router.post("/experiments", status_code=201)
async def submit(
    body: Submission,
    response: Response,
    use: Annotated[Parts, Depends(parts)],
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> dict[str, Any]:
    """Accept an experiment. Once this returns 201, it will come to an end, whatever dies."""
    config = parse_experiment(body.config)
    await _check_sources(use, config)
    bundle = await _bundle(use, body.bundle)
    experiment_id = "".join(secrets.choice(ALPHABET) for _ in range(6))
    if idempotency_key is not None:
        digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
        experiment_id = await _remember(use.store, idempotency_key, digest, experiment_id)
    base = config.checkpoint_storage.url or use.settings.storage_url
    event = ExperimentSubmitted(
        experiment_id=experiment_id,
        config=config,
        bundle=bundle,
        storage_url=f"{base.rstrip('/')}/experiments/{experiment_id}",
        owner=OWNER,
    )
    if not await use.store.row(keys.experiment(experiment_id)):  # else: a repetition
        sequence = await publish(use, event, f"submit-{experiment_id}")
        await use.projector.wait_for(EXPERIMENTS, sequence, use.settings.apply_timeout)
    location = f"/v1/experiments/{experiment_id}"
    response.headers["Location"] = location
    return {"experiment_id": experiment_id, "name": config.name, "url": location}


async def _check_sources(use: Parts, config: ExperimentConfig) -> None:
    """Raise ConfigError if the config starts from experiments or a trial that are not there."""
    earlier = list(getattr(config.searcher, "warm_start", ()))
    rows = await use.store.rows([keys.experiment(name) for name in earlier])
    problems = [
        Problem(path=f"searcher.warm_start.{number}", message=f"there is no experiment {name!r}")
        for number, (name, row) in enumerate(zip(earlier, rows, strict=True))
        if "config" not in row
    ]
    source = config.searcher.source_trial_id
    if source is not None and "number" not in await use.store.row(keys.trial(source)):
        message = f"there is no trial {source!r}"
        problems.append(Problem(path="searcher.source_trial_id", message=message))
    if problems:
        raise ConfigError(problems)


async def publish(use: Parts, event: Event, id: str) -> int:
    """Publish a request; returns its sequence. Raises TimeoutError if NATS does not answer."""
    bus: Bus = use.bus
    async with asyncio.timeout(use.settings.publish_timeout):
        return await bus.publish(event, id=id)


async def _bundle(use: Parts, sha256: str | None) -> Bundle | None:
    if sha256 is None:
        return None
    bundle = await use.bundles.find(sha256)
    if bundle is None:
        detail = f"There is no bundle {sha256}. Send it to POST /v1/bundles first."
        raise ProblemError(422, detail, kind="urn:shoal:problem:bundle")
    return bundle


async def _remember(store: RedisStore, key: str, digest: str, experiment_id: str) -> str:
    """The experiment that a key stands for: a new one, or that of the first such request."""
    name = keys.idempotency(OWNER, key)
    mine = json.dumps({"digest": digest, "experiment_id": experiment_id})
    if await store.redis.set(name, mine, nx=True, ex=REMEMBERED):
        return experiment_id
    first = json.loads(await store.redis.get(name) or mine)
    if first["digest"] != digest:
        detail = "This Idempotency-Key was used for another request. Choose a new one."
        raise ProblemError(409, detail, kind="urn:shoal:problem:idempotency")
    return str(first["experiment_id"])
