"""What all answers have in common."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Number = float | Literal["NaN", "Infinity", "-Infinity"]
"""A number, or the name of one that JSON does not have."""
Row = dict[str, Any]


class Answer(BaseModel):
    """A JSON object that a route answers. Fields may be added later."""

    model_config = ConfigDict(use_attribute_docstrings=True)


def told(answer: type[Answer], status: int = 200) -> dict[int | str, dict[str, Any]]:
    """The argument `responses` of a route that answers so."""
    return {status: {"model": answer}}
