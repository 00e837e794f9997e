"""The experiment file, in Determined's dialect where one exists.

Reference: https://docs.determined.ai/latest/reference/training/experiment-config-reference.html
"""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from shoal_contract.base import Id, Strict
from shoal_contract.deadline import deadline_at
from shoal_contract.resources import Resources as Resources
from shoal_contract.searchers import Searcher

SECRET_NAME = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"  # noqa: S105
"""What a secret may be called: it is to be the name of a variable."""

MODULE_NAME = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"
"""What Python imports, with dots."""


class CheckpointStorage(Strict):
    """Where checkpoints go, and how many are kept."""

    url: str | None = None
    """Any fsspec address (`file://`, `gs://`, `s3://`); the platform's own when left out."""
    save_experiment_best: int = Field(default=0, ge=0)
    save_trial_best: int = Field(default=1, ge=0)
    save_trial_latest: int = Field(default=1, ge=0)


ENGINES_OWN = ("DOCKER_", "CONTAINER", "LD_", "XDG_")
"""What the names of variables begin with that docker and podman themselves heed."""


class Environment(Strict):
    """What a trial's processes find."""

    environment_variables: dict[str, str] = Field(default_factory=dict)
    secrets: list[Annotated[str, Field(pattern=SECRET_NAME)]] = Field(default_factory=list)
    """Names of secrets of the experiment's workspace, which become variables."""
    preload: list[Annotated[str, Field(pattern=MODULE_NAME, max_length=100)]] = Field(
        default_factory=list, max_length=20
    )
    """Installed modules that ranks shall find imported, e.g. `timm`, so that they start at once."""
    image: str | None = Field(default=None, min_length=1, pattern=r"^[^\s-]\S*$")
    """An image, in a container of which each rank runs; None: ranks run beside the worker."""
    runtime: Literal["docker", "podman"] | None = None
    """What runs the containers; None: what the machine has."""

    @model_validator(mode="after")
    def _runtime_has_image(self) -> "Environment":
        for name in self.secrets if self.image is not None else ():
            if name == "HOME" or name.startswith(ENGINES_OWN):
                raise ValueError(f"no container can be given the secret {name}: call it another")
        if self.runtime is not None and self.image is None:
            raise ValueError(f"{self.runtime} needs an image: say environment.image")
        if self.preload and self.image is not None:
            raise ValueError("a container starts from nothing: leave environment.preload out")
        return self


class ExperimentConfig(Strict):
    """One experiment file. `parse_experiment` reads it and explains what is wrong."""

    name: str = Field(min_length=1, max_length=200)
    description: str = ""
    labels: list[str] = Field(default_factory=list)
    project: Id = "default"
    """One of the projects of `resources.workspace`; `default` is always there."""
    entrypoint: list[str] = Field(min_length=1)
    """The command of one rank, e.g. `python train.py`. A string is split as a shell would."""
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    constraints: list[str] = Field(default_factory=list)
    """Conditions that every configuration must meet, e.g. `lr * batch <= 4`. See `expressions`."""
    searcher: Searcher
    resources: Resources = Resources()
    deadline: str | None = None
    """When all of it is to be done: a length after the submission (`8h`) or a time (ISO 8601). For
    pools with `deadline_policy: uniform_progress`, which buy on demand what it takes."""
    max_restarts: int = Field(default=5, ge=0)
    """How often a trial that failed by its own fault is started again from its checkpoint."""
    checkpoint_storage: CheckpointStorage = CheckpointStorage()
    environment: Environment = Environment()
    seed: int = Field(default=0, ge=0, lt=2**63)

    @field_validator("deadline", mode="before")
    @classmethod
    def _deadline(cls, value: Any) -> Any:
        if isinstance(value, date):  # as YAML reads a time without quotes
            value = value.isoformat()
        if isinstance(value, str):
            deadline_at(value, 0.0)
        return value

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
