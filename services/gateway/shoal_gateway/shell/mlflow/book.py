"""Experiments and runs of MLflow's kind: what a caller may see of them, and writing them down.

An experiment's id follows from its name and from where it belongs: to a workspace or, where a trial
logs, to the trial's experiment. So two programs that make it at once make the same one.
"""

import contextlib
import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import polars as pl
from fastapi import Depends, Request

from shoal_bus.bus import AWAY
from shoal_contract.events import (
    Event,
    MetricLogged,
    TrackingExperimentChanged,
    TrackingExperimentCreated,
    TrackingLogged,
)
from shoal_contract.resources import Resources
from shoal_contract.roles import Role
from shoal_contract.subjects import TRACKED, stream_of
from shoal_gateway.core import keys
from shoal_gateway.core.changes import finite
from shoal_gateway.core.history.blocks import Point
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.history_reader import Query
from shoal_gateway.shell.mlflow.models import Pair
from shoal_gateway.shell.parts import Parts
from shoal_gateway.shell.problems import ProblemError, unknown, wrong
from shoal_gateway.shell.routes.metrics import read

DEFAULT = "Default"
"""The name of the experiment whose id MLflow's client takes to be 0."""
WORKSPACE_TAG = "shoal.workspace"
"""With this tag an experiment is made in another workspace than the usual one."""


class Book:
    """What one caller may do."""

    def __init__(self, use: Parts, who: Caller) -> None:
        self._use, self._who = use, who

    async def create(self, name: str, tags: Sequence[Pair]) -> str:
        """Make an experiment; returns its id. Raises ProblemError (409) if it is there."""
        pairs = {tag.key: tag.value for tag in tags}
        workspace = pairs.get(WORKSPACE_TAG) or await self._workspace()
        self._check(Role.EDITOR, workspace)
        experiment_id = self._id(workspace, name)
        await self._check_free(workspace, name)
        if await self._use.store.row(keys.tracked(experiment_id)):  # it is called otherwise by now
            experiment_id = secrets.token_hex(9)
        event = TrackingExperimentCreated(
            experiment_id=experiment_id,
            name=name,
            workspace=workspace,
            within=self._who.experiment,
            tags=pairs,
            at=time.time(),
        )
        await self.say(event, f"tracking-{experiment_id}")
        return experiment_id

    async def change(
        self,
        experiment_id: str,
        name: str | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> None:
        """Call an experiment something else, or tag it. Raises ProblemError (404, 409)."""
        row = await self.experiment(experiment_id, Role.EDITOR)
        if name is not None and name != row["name"]:
            await self._check_free(row["workspace"], name)
        event = TrackingExperimentChanged(
            experiment_id=row["experiment_id"], name=name, tags=dict(tags or {})
        )
        await self.say(event)

    async def _check_free(self, workspace: str, name: str) -> None:
        """Raise ProblemError (409) if an experiment of a workspace is called so."""
        if await self._called(name, [workspace]) is not None:
            detail = f"There is an experiment {name!r} already."
            raise ProblemError(409, detail, kind="urn:shoal:problem:conflict")

    async def _called(self, name: str, workspaces: Sequence[str]) -> Row | None:
        """The experiment of this name that is in the first of some workspaces."""
        names = [keys.tracked(self._id(workspace, name)) for workspace in workspaces]
        for row in await self._use.store.rows(names):
            if row and row["name"] == name and self._sees(row):
                return row
        for row in await self.experiments():  # it was called otherwise when it was made
            if row["name"] == name and row["workspace"] in workspaces and self._mine(row):
                return row
        return None

    async def named(self, name: str) -> Row:
        """The experiment of this name: that of the caller's own workspace, else one of another.
        Raises ProblemError (404)."""
        own = await self._workspace()
        others = [w for w in self._use.ledger.state.workspaces if w != own]
        if (row := await self._called(name, [own, *others])) is not None:
            return row
        raise unknown("experiment", name)

    async def experiment(self, experiment_id: str, role: Role = Role.VIEWER) -> Row:
        """An experiment that the caller may see; `0` is made when it is first asked for."""
        if experiment_id == "0":
            workspace = await self._workspace()
            experiment_id = self._id(workspace, DEFAULT)
            if not await self._use.store.row(keys.tracked(experiment_id)):
                await self.create(DEFAULT, ())
        row = await self._use.store.row(keys.tracked(experiment_id))
        if not row or not self._sees(row):
            raise unknown("experiment", experiment_id)
        self._check(role, row["workspace"])
        return row

    async def experiments(self) -> list[Row]:
        """All that the caller may see, the newest first."""
        ids = await self._use.store.members(keys.TRACKED)
        rows = await self._use.store.rows([keys.tracked(i) for i in reversed(ids)])
        return [row for row in rows if row and self._sees(row)]

    async def run(self, run_id: str, role: Role = Role.VIEWER) -> Row:
        """The row of a run that the caller may see, or change. Raises ProblemError."""
        row = await self._use.store.row(keys.tracked_run(run_id))
        if "experiment_id" not in row:
            raise unknown("run", run_id)
        await self.experiment(row["experiment_id"], role)
        return row

    async def runs(self, experiment_id: str) -> list[dict[str, Any]]:
        """The runs of an experiment with all that was logged, the newest first."""
        experiment_id = (await self.experiment(experiment_id))["experiment_id"]
        ids = (await self._use.store.members(keys.tracked_runs(experiment_id)))[::-1]
        return await self.whole(experiment_id, ids)

    async def whole(self, experiment_id: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Runs with their parameters, tags and newest metrics."""
        store = self._use.store
        rows = await store.rows([keys.tracked_run(i) for i in ids])
        params = await store.rows([keys.tracked_params(i) for i in ids])
        tags = await store.rows([keys.tracked_tags(i) for i in ids])
        points = await self.points(experiment_id, ids, last=True)
        last = points.group_by("trial", "name", maintain_order=True).last()
        metrics: dict[str, list[Row]] = {}
        for run_id, metric in zip(last["trial"], as_metrics(last), strict=True):
            metrics.setdefault(run_id, []).append(metric)
        parts = zip(rows, params, tags, strict=True)
        return [
            {"row": row, "params": its, "tags": marks, "metrics": metrics.get(row["run_id"], [])}
            for row, its, marks in parts
            if "run_id" in row
        ]

    async def points(
        self, experiment_id: str, ids: Sequence[str], names: Sequence[str] = (), last: bool = False
    ) -> pl.DataFrame:
        """What was logged of some metrics of some runs, by step and time: all, or at least the
        `last` of each. What was logged before one asks is among it, at whatever gateway."""
        with contextlib.suppress(*AWAY):
            _, newest = await self._use.bus.extent(TRACKED)
            await self._use.projector.wait_for(TRACKED, newest, self._use.settings.apply_timeout)
        return await read(
            self._use, Query(experiment_id, "tracked", ids, names, superseded=True, last=last)
        )

    async def log(
        self,
        run_id: str,
        points: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write down what a run logged. Raises ProblemError if a parameter has another value.

        Points are in their stream then, and whoever asks for some waits until they are shown.
        """
        place = await self._use.directory.place_of(run_id)
        if place is None or not self._may_see(place.workspace, place.within):
            raise unknown("run", run_id)
        self._check(Role.EDITOR, place.workspace)
        e = place.experiment_id
        if params:
            there = await self._use.store.row(keys.tracked_params(run_id))
            for key, value in params.items():
                if there.get(key, value) != value:
                    detail = f"The parameter {key!r} is {there[key]!r} already."
                    raise wrong("params", detail, 400)
        if params or tags:
            said = TrackingLogged(
                experiment_id=e, run_id=run_id, params=dict(params or {}), tags=dict(tags or {})
            )
            await self.say(said)
        if points:
            # The points were looked at when the request was read.
            event = MetricLogged.model_construct(
                experiment_id=e, run_id=run_id, points=list(points)
            )
            await self._use.publish(event, f"{event.type}-{secrets.token_hex(12)}")

    async def remove_tag(self, run_id: str, key: str) -> None:
        """Take a tag away. Raises ProblemError (404) if there is none."""
        run = await self.run(run_id, Role.EDITOR)
        if key not in await self._use.store.row(keys.tracked_tags(run_id)):
            raise unknown("tag", key)
        event = TrackingLogged(
            experiment_id=run["experiment_id"], run_id=run_id, params={}, tags={},
            removed_tags=[key],
        )  # fmt: skip
        await self.say(event)

    async def check_run(self, experiment_id: str, run_id: str, role: Role) -> None:
        """Raise ProblemError unless an experiment has a run in which the caller has a role."""
        place = await self._use.directory.place_of(run_id)
        if (
            place is None
            or place.experiment_id != experiment_id
            or not self._may_see(place.workspace, place.within)
        ):
            raise unknown("run", run_id)
        self._check(role, place.workspace)

    async def say(self, event: Event, id: str | None = None) -> None:
        """Publish an event, and wait until reads show it."""
        sequence = await self._use.publish(event, id or f"{event.type}-{secrets.token_hex(12)}")
        seconds = self._use.settings.apply_timeout
        await self._use.projector.wait_for(stream_of(event.type), sequence, seconds)

    async def _workspace(self) -> str:
        """Where experiments are looked for by name, and made."""
        if self._who.experiment is not None:
            found = await self._use.directory.workspace_of(self._who.experiment)
            if found is not None:
                return found
        return Resources().workspace

    def _id(self, workspace: str, name: str) -> str:
        whole = "/".join((workspace, self._who.experiment or "", name))
        return hashlib.sha256(whole.encode()).hexdigest()[:18]

    def _mine(self, row: Row) -> bool:
        """Whether an experiment is where the caller's own ones are made."""
        return bool(row["within"] == self._who.experiment)

    def _sees(self, row: Row) -> bool:
        return self._may_see(row["workspace"], row["within"])

    def _may_see(self, workspace: str, within: str | None) -> bool:
        if self._who.experiment is not None and within != self._who.experiment:
            return False
        return self._who.role_in(workspace) is not None

    def _check(self, role: Role, workspace: str) -> None:
        found = self._who.role_in(workspace)
        if found is None or not found.covers(role):
            detail = f"Only one who is {role.value} of the workspace {workspace} may do this."
            raise ProblemError(403, detail, kind="urn:shoal:problem:denied")


async def book(request: Request) -> Book:
    """What the caller of a request may do."""
    return Book(request.app.state.parts, caller(request))


Its = Annotated[Book, Depends(book)]


def as_metrics(points: pl.DataFrame) -> list[Row]:
    """Points as MLflow writes them."""
    values: list[Any] = points["value"].to_list()
    if not points["value"].is_finite().all():
        values = [finite(value) for value in values]
    names, times, steps = (points[name].to_list() for name in ("name", "at", "step"))
    return [
        {"key": name, "value": value, "timestamp": round(at * 1000), "step": step}
        for name, value, at, step in zip(names, values, times, steps, strict=True)
    ]
