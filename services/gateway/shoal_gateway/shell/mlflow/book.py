"""Experiments and runs of MLflow's kind: what a caller may see of them, and writing them down.

An experiment's id follows from its name and from where it belongs: to a workspace or, where a trial
logs, to the trial's experiment. So two programs that make it at once make the same one.
"""

import hashlib
import secrets
import time
from collections.abc import Sequence
from typing import Any

import polars as pl

from shoal_contract.events import (
    Event,
    MetricLogged,
    TrackingExperimentCreated,
    TrackingLogged,
)
from shoal_contract.resources import Resources
from shoal_contract.roles import Role
from shoal_contract.subjects import stream_of
from shoal_gateway.core import keys
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.history_reader import Query
from shoal_gateway.shell.mlflow.models import Metric, Pair
from shoal_gateway.shell.parts import Parts
from shoal_gateway.shell.problems import ProblemError, unknown
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
        if await self._use.store.row(keys.tracked(experiment_id)):
            raise ProblemError(409, f"There is an experiment {name!r} already.")
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

    async def named(self, name: str) -> Row:
        """The experiment of this name: that of the caller's own workspace, else one of another.
        Raises ProblemError (404)."""
        own = await self._workspace()
        others = [w for w in self._use.ledger.state.workspaces if w != own]
        names = [keys.tracked(self._id(workspace, name)) for workspace in (own, *others)]
        for row in await self._use.store.rows(names):
            if row and self._sees(row):
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
        points = await self.points(experiment_id, ids)
        last = points.group_by("trial", "name", maintain_order=True).last()
        metrics: dict[str, list[Row]] = {}
        for point in last.iter_rows(named=True):
            metrics.setdefault(point["trial"], []).append(as_metric(point))
        parts = zip(rows, params, tags, strict=True)
        return [
            {"row": row, "params": its, "tags": marks, "metrics": metrics.get(row["run_id"], [])}
            for row, its, marks in parts
            if "run_id" in row
        ]

    async def points(
        self, experiment_id: str, ids: Sequence[str], names: Sequence[str] = ()
    ) -> pl.DataFrame:
        """All that was logged of some metrics of some runs, by step and time."""
        return await read(self._use, Query(experiment_id, "tracked", ids, names, superseded=True))

    async def log(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Pair] = (),
        tags: Sequence[Pair] = (),
    ) -> None:
        """Write down what a run logged. Raises ProblemError if a parameter has another value."""
        run = await self.run(run_id, Role.EDITOR)
        common = {"experiment_id": run["experiment_id"], "run_id": run_id}
        if params:
            there = await self._use.store.row(keys.tracked_params(run_id))
            for pair in params:
                if there.get(pair.key, pair.value) != pair.value:
                    detail = f"The parameter {pair.key!r} is {there[pair.key]!r} already."
                    raise ProblemError(400, detail)
        if params or tags:
            event = TrackingLogged(
                **common,
                params={p.key: p.value for p in params},
                tags={t.key: t.value for t in tags},
            )
            await self.say(event)
        if metrics:
            await self.say(MetricLogged(**common, points=[m.point for m in metrics]))

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

    def _sees(self, row: Row) -> bool:
        if self._who.experiment is not None and row["within"] != self._who.experiment:
            return False
        return self._who.role_in(row["workspace"]) is not None

    def _check(self, role: Role, workspace: str) -> None:
        found = self._who.role_in(workspace)
        if found is None or not found.covers(role):
            detail = f"Only one who is {role.value} of the workspace {workspace} may do this."
            raise ProblemError(403, detail)


def as_metric(point: Row) -> Row:
    """A point as MLflow writes it."""
    milliseconds = round(point["at"] * 1000)
    value = point["value"]
    return {
        "key": point["name"], "value": value, "timestamp": milliseconds, "step": point["step"]
    }  # fmt: skip
