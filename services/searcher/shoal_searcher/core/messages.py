"""What the searcher's shell answers."""

from typing import Any

from pydantic import BaseModel, Field

from shoal_contract.events import Checkpoint, PastResult


class Proposals(BaseModel):
    """A sampler's answer."""

    experiment_id: str
    ask: int
    """Which ask it answers: the number of answers before it."""
    known: int
    proposals: list[dict[str, Any]]
    """Values by dotted name; none if the sampler failed: then draws take their place."""
    failure: str = ""
    """Why it failed."""


class Found(BaseModel):
    """What was found to start an experiment from."""

    experiment_id: str
    results: list[PastResult] = Field(default_factory=list)
    checkpoint: Checkpoint | None = None
    missing: str = ""
    """What could not be found, if it has to be there."""
