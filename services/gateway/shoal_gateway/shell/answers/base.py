"""What all answers have in common."""

from typing import Any, Literal

import msgspec
from fastapi import Response
from pydantic import BaseModel, ConfigDict

Number = float | Literal["NaN", "Infinity", "-Infinity"]
"""A number, or the name of one that JSON does not have."""
Row = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]
TAGGED: Row = {"ETag": {"description": "Its state, for `If-Match`.", "schema": {"type": "string"}}}
LOCATED: Row = {"Location": {"description": "Where to look for it.", "schema": {"type": "string"}}}
"""Headers of an answer."""


class Answer(BaseModel):
    """A JSON object that a route answers. Fields may be added later."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Paged(Answer):
    """A list, or a page of it."""

    next: str | None
    """The next page's `cursor`; null: this is the last."""


def told(
    answer: type[Answer], status: int = 200, *others: int, headers: Row | None = None
) -> Responses:
    """The argument `responses` of a route that answers so, or with problems of `others`, as
    `refusals` has them."""
    return {status: {"model": answer, "headers": headers or {}}} | refusals(*others)


def silent(headers: Row, *others: int) -> Responses:
    """The same of a route whose good answer (204) is its headers alone."""
    return {204: {"headers": headers}} | refusals(*others)


def refusals(*statuses: int) -> Responses:
    """The same of problems that one cannot tell from the route's path and parameters: those are in
    the document anyhow (`shell/openapi`)."""
    return {status: {} for status in statuses}


def written(answer: Any) -> Response:
    """A large answer, as JSON: FastAPI's own way looks at each value in Python."""
    return Response(msgspec.json.encode(answer), media_type="application/json")
