"""`runs/log-…` and `runs/set-tag`: what runs log, many times a second.

A request that is plain is read by msgspec and answered at once. What is not, since a number in it
is NaN or something is wrong with it, takes the way of all other routes, which says what.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request, Response

from shoal_gateway.core.history.blocks import Point
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.answers.tracking import MlflowNothing
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.mlflow.book import Book, Its
from shoal_gateway.shell.mlflow.errors import Handler, MlflowRoute
from shoal_gateway.shell.mlflow.models import MOST, LogBatch, LogMetric, LogPair
from shoal_gateway.shell.parts import Parts

_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=250)]
_Text = Annotated[str, msgspec.Meta(max_length=8000)]
_Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Pair(msgspec.Struct):
    key: _Key
    value: _Text = ""


class _Metric(msgspec.Struct, gc=False):
    key: _Key
    value: float
    timestamp: _Int
    step: _Int = 0


class _OnePair(_Pair, kw_only=True):
    run_id: str


class _OneMetric(_Metric, kw_only=True):
    run_id: str


class _Batch(msgspec.Struct):
    run_id: str
    metrics: Annotated[list[_Metric], msgspec.Meta(max_length=MOST)] = []
    params: Annotated[list[_Pair], msgspec.Meta(max_length=MOST)] = []
    tags: Annotated[list[_Pair], msgspec.Meta(max_length=MOST)] = []


@dataclass(frozen=True, slots=True)
class Said:
    """What a run logs."""

    run_id: str
    points: Sequence[Point] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


_METRIC = msgspec.json.Decoder(_OneMetric)
_PAIR = msgspec.json.Decoder(_OnePair)
_BATCH = msgspec.json.Decoder(_Batch)


def _metric(body: bytes) -> Said:
    said = _METRIC.decode(body)
    return Said(said.run_id, [(said.key, said.value, said.step, said.timestamp)])


def _param(body: bytes) -> Said:
    said = _PAIR.decode(body)
    return Said(said.run_id, params={said.key: said.value})


def _tag(body: bytes) -> Said:
    said = _PAIR.decode(body)
    return Said(said.run_id, tags={said.key: said.value})


def _batch(body: bytes) -> Said:
    said = _BATCH.decode(body)
    points = [(m.key, m.value, m.step, m.timestamp) for m in said.metrics]
    return Said(said.run_id, points, _pairs(said.params), _pairs(said.tags))


def _pairs(found: Sequence[_Pair]) -> dict[str, str]:
    return {pair.key: pair.value for pair in found}


_READERS: Mapping[str, Callable[[bytes], Said]] = {
    "log-metric": _metric,
    "log-parameter": _param,
    "set-tag": _tag,
    "log-batch": _batch,
}
"""How each route's body is read. They raise MsgspecError for what is not plain."""


class LogRoute(MlflowRoute):
    """A route that needs none of the framework's help with a plain request."""

    def handler(self) -> Handler:
        """What answers, and raises errors."""
        careful, read = super().handler(), _READERS[self.path.rpartition("/")[2]]

        async def quick(request: Request) -> Response:
            try:
                said = read(await request.body())
            except msgspec.MsgspecError:
                return await careful(request)
            use: Parts = request.app.state.parts
            await log(said, Book(use, caller(request)))
            return Response(b"{}", media_type="application/json")

        return quick


router = APIRouter(route_class=LogRoute)
Answer = dict[str, Any]


async def log(said: Said, its: Book) -> None:
    """Write down what a run logged."""
    await its.log(said.run_id, said.points, said.params, said.tags)


@router.post("/runs/log-metric", responses=told(MlflowNothing))
async def log_metric(body: LogMetric, its: Its) -> Answer:
    """One number."""
    await log(Said(body.run_id, [body.point]), its)
    return {}


@router.post("/runs/log-parameter", responses=told(MlflowNothing))
async def log_parameter(body: LogPair, its: Its) -> Answer:
    """One parameter; it cannot change."""
    await log(Said(body.run_id, params={body.key: body.value}), its)
    return {}


@router.post("/runs/set-tag", responses=told(MlflowNothing))
async def set_tag(body: LogPair, its: Its) -> Answer:
    """One tag."""
    await log(Said(body.run_id, tags={body.key: body.value}), its)
    return {}


@router.post("/runs/log-batch", responses=told(MlflowNothing))
async def log_batch(body: LogBatch, its: Its) -> Answer:
    """Numbers, parameters and tags together."""
    params, tags = ({p.key: p.value for p in pairs} for pairs in (body.params, body.tags))
    await log(Said(body.run_id, [m.point for m in body.metrics], params, tags), its)
    return {}
