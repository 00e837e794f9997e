"""The two kinds of model in the contract, and the identifiers they share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,95}$")]
"""An identifier. It is safe as one token of a NATS subject and as a file name."""


class Frozen(BaseModel):
    """A value that travels: immutable, and lenient to fields that a newer writer added."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")


class Strict(BaseModel):
    """A value that people write: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
