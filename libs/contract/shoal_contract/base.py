"""The two kinds of model in the contract, and the identifiers they share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,95}$"
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
"""An identifier. It is safe as one token of a NATS subject and as a file name."""


Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A number that fits into a column of 64 bits, as all steps and times must."""


class Frozen(BaseModel):
    """A value that travels: immutable, and lenient to fields that a newer writer added."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")


class Strict(BaseModel):
    """A value that people write: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
