"""The bodies of MLflow's requests, as far as they are read here."""

from typing import Annotated

from pydantic import BaseModel, Field

from shoal_contract.base import Int64
from shoal_contract.events.tracking import RunStatus

MOST = 1000
"""Of each kind of thing in a batch."""
_Text = Annotated[str, Field(max_length=8000)]
_Key = Annotated[str, Field(min_length=1, max_length=250)]


class Pair(BaseModel):
    """A parameter or a tag."""

    key: _Key
    value: _Text = ""


class Metric(BaseModel):
    """A number; what JSON has none for comes as a text."""

    key: _Key
    value: float
    timestamp: Int64
    """Unix milliseconds."""
    step: Int64 = 0

    @property
    def point(self) -> tuple[str, float, int, int]:
        """As the event has it."""
        return (self.key, self.value, self.step, self.timestamp)


class CreateExperiment(BaseModel):
    """`experiments/create`."""

    name: Annotated[str, Field(min_length=1, max_length=500)]
    tags: list[Pair] = []


class ChangeExperiment(BaseModel):
    """`experiments/update`."""

    experiment_id: str
    new_name: Annotated[str, Field(min_length=1, max_length=500)]


class TagExperiment(Pair):
    """`experiments/set-experiment-tag`."""

    experiment_id: str


class UntagExperiment(BaseModel):
    """`experiments/delete-experiment-tag`."""

    experiment_id: str
    key: _Key


class CreateRun(BaseModel):
    """`runs/create`."""

    experiment_id: str = "0"
    run_name: str = ""
    start_time: Int64 | None = None
    tags: list[Pair] = []


class OfRun(BaseModel):
    """What names a run. Clients send `run_uuid` too, its older name."""

    run_id: str


class UpdateRun(OfRun):
    """`runs/update`."""

    status: RunStatus | None = None
    end_time: Int64 | None = None
    run_name: str | None = None


class LogMetric(OfRun, Metric):
    """`runs/log-metric`."""


class LogPair(OfRun, Pair):
    """`runs/log-parameter` and `runs/set-tag`."""


class UntagRun(OfRun):
    """`runs/delete-tag`."""

    key: _Key


class LogBatch(OfRun):
    """`runs/log-batch`."""

    metrics: Annotated[list[Metric], Field(max_length=MOST)] = []
    params: Annotated[list[Pair], Field(max_length=MOST)] = []
    tags: Annotated[list[Pair], Field(max_length=MOST)] = []


class Search(BaseModel):
    """`experiments/search` and `runs/search`."""

    max_results: Annotated[int, Field(ge=1, le=50_000)] = 1000
    page_token: str = ""
    filter: str = ""
    order_by: list[str] = []


class SearchRuns(Search):
    """`runs/search`."""

    experiment_ids: list[str] = []
    run_view_type: str = "ACTIVE_ONLY"
