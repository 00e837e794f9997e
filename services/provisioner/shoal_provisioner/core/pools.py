"""What a pool is allowed to do."""

from typing import Literal

from pydantic import Field, model_validator

from shoal_contract.base import Id, Strict


class Pool(Strict):
    """One pool of machines of one shape."""

    name: Id
    driver: Literal["local"] = "local"
    min_instances: int = Field(default=0, ge=0)
    max_instances: int = Field(default=2, ge=0)
    slots_per_instance: int = Field(default=2, ge=1)
    max_idle_period: float = Field(default=60.0, ge=0)
    """Seconds that a machine may idle before it is stopped."""
    max_starting_period: float = Field(default=120.0, gt=0)
    """Seconds from the request to the worker's joining; longer counts as a failure."""

    @model_validator(mode="after")
    def _ordered(self) -> "Pool":
        if self.min_instances > self.max_instances:
            raise ValueError(
                f"min_instances ({self.min_instances}) must not exceed"
                f" max_instances ({self.max_instances})"
            )
        return self
