"""The experiment file, in Determined's dialect where one exists.

Reference: https://docs.determined.ai/latest/reference/training/experiment-config-reference.html
"""

from typing import Any

from pydantic import Field, field_validator, model_validator

from shoal_contract.base import Strict
from shoal_contract.resources import Resources as Resources
from shoal_contract.searchers import Searcher


class CheckpointStorage(Strict):
    """Where checkpoints go, and how many are kept."""

    url: str | None = None
    """Any fsspec address (`file://`, `gs://`, `s3://`); the platform's own when left out."""
    save_experiment_best: int = Field(default=0, ge=0)
    save_trial_best: int = Field(default=1, ge=0)
    save_trial_latest: int = Field(default=1, ge=0)


class Environment(Strict):
    """What a trial's processes find."""

    environment_variables: dict[str, str] = Field(default_factory=dict)


class ExperimentConfig(Strict):
    """One experiment file. `parse_experiment` reads it and explains what is wrong."""

    name: str = Field(min_length=1, max_length=200)
    description: str = ""
    labels: list[str] = Field(default_factory=list)
    entrypoint: list[str] = Field(min_length=1)
    """The command of one rank, e.g. `python train.py`. A string is split as a shell would."""
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    constraints: list[str] = Field(default_factory=list)
    """Conditions that every configuration must meet, e.g. `lr * batch <= 4`. See `expressions`."""
    searcher: Searcher
    resources: Resources = Resources()
    max_restarts: int = Field(default=5, ge=0)
    """How often a trial that failed by its own fault is started again from its checkpoint."""
    checkpoint_storage: CheckpointStorage = CheckpointStorage()
    environment: Environment = Environment()
    seed: int = Field(default=0, ge=0, lt=2**63)

    @field_validator("entrypoint", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            import shlex

            return shlex.split(value)
        return value

    @model_validator(mode="after")
    def _slots_fit(self) -> "ExperimentConfig":
        limit = self.resources.max_slots
        least = self.resources.least
        if limit is not None and limit < least:
            name = "slots.min" if self.resources.slots else "slots_per_trial"
            raise ValueError(
                f"resources.max_slots ({limit}) is less than resources.{name}"
                f" ({least}): no trial could ever start"
            )
        return self
