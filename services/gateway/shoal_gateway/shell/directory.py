"""Which workspace each experiment belongs to. It never changes, so it is remembered."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

from shoal_bus.bus import Bus
from shoal_contract.base import ID_PATTERN
from shoal_contract.envelope import BadMessageError
from shoal_contract.events import Event, ExperimentDeleted, ExperimentSubmitted
from shoal_contract.ids import experiment_of_trial
from shoal_contract.roles import Role
from shoal_contract.subjects import EXPERIMENTS, all_of
from shoal_gateway.core import keys
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.rows import Row
from shoal_gateway.core.whose import experiment_in
from shoal_gateway.shell.redis_store import RedisStore

_ID = re.compile(ID_PATTERN)
_MOST = 200_000
OF_MACHINES = frozenset(
    {
        "node.joined", "node.draining", "node.left",
        "pool.node_admitted", "pool.node_busy", "pool.node_draining", "pool.node_idle",
        "pool.node_removed", "pool.slot_set_aside",
        "instance.requested", "instance.started", "instance.joined", "instance.idled",
        "instance.preempted", "instance.stopping", "instance.stopped", "instance.failed",
    }
)  # fmt: skip
"""Events of no experiment that name none inside either."""


_FRESH = 10.0
"""Seconds for which it is remembered where a run belongs: its experiment may be deleted."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run that a program logged through MLflow's API belongs. It never changes."""

    experiment_id: str
    """The experiment of MLflow's kind."""
    workspace: str
    within: str | None
    """The experiment of ours whose trial made it."""


class Directory:
    """Experiments by id, and runs."""

    def __init__(self, store: RedisStore, bus: Bus) -> None:
        self._store, self._bus = store, bus
        self._known: dict[str, str] = {}
        self._gone: set[str] = set()
        self._places: dict[str, tuple[float, Place]] = {}

    async def place_of(self, run_id: str) -> Place | None:
        """Where a run belongs; None if there is no such run."""
        at, found = self._places.get(run_id, (0.0, None))
        if found is not None and time.monotonic() - at < _FRESH:
            return found
        run = await self._store.row(keys.tracked_run(run_id))
        if "experiment_id" not in run:
            return None
        experiment_id = run["experiment_id"]
        row = await self._store.row(keys.tracked(experiment_id))
        if not row:
            return None
        if len(self._places) >= _MOST:
            self._places.clear()
        found = Place(experiment_id, row["workspace"], row["within"])
        self._places[run_id] = (time.monotonic(), found)
        return found

    async def workspace_of(self, experiment_id: str) -> str | None:
        """The workspace of an experiment; None if there is no such experiment."""
        if (found := self._known.get(experiment_id)) is not None:
            return found
        if not _ID.fullmatch(experiment_id):
            return None
        config = await self._store.field(keys.experiment(experiment_id), "config")
        if config is None:
            return None
        return self._remember(experiment_id, config["resources"]["workspace"])

    async def home_of(self, experiment_id: str) -> str | None:
        """The workspace of an experiment that an event is of. If the read models do not have it,
        since they are behind, its stream tells; None: it was deleted. Raises RedisError, and one of
        AWAY."""
        if experiment_id in self._gone:
            return None
        if (found := await self.workspace_of(experiment_id)) is not None:
            return found
        said = await self._newest(ExperimentSubmitted, experiment_id)
        gone = await self._newest(ExperimentDeleted, experiment_id)
        if isinstance(said, ExperimentSubmitted) and gone is None:
            return self._remember(experiment_id, said.config.resources.workspace)
        if len(self._gone) >= _MOST:
            self._gone.clear()
        self._gone.add(experiment_id)
        return None

    async def _newest(self, kind: type[Event], experiment_id: str) -> Event | None:
        if not _ID.fullmatch(experiment_id):
            return None
        try:
            found = await self._bus.newest(EXPERIMENTS, all_of(kind.type, experiment_id))
        except BadMessageError:
            return None
        return None if found is None else found.event

    async def sees(self, caller: Caller, experiment_id: str) -> bool:
        """Whether a caller may know of an experiment."""
        return await self.may(caller, Role.VIEWER, experiment_id)

    async def may(self, caller: Caller, role: Role, experiment_id: str) -> bool:
        """Whether a caller may do with an experiment what `role` may."""
        workspace = await self.workspace_of(experiment_id)
        return workspace is not None and caller.may(role, workspace, experiment_id)

    async def seen(self, caller: Caller, trial_ids: Iterable[str]) -> list[str]:
        """Those of some trials that a caller may know of."""
        if caller.sees_all:
            return list(trial_ids)
        return [t for t in trial_ids if await self.sees(caller, experiment_of_trial(t))]

    async def machine(self, caller: Caller, row: Row) -> Row:
        """The row of a machine, which tells a caller only of those experiments that it works for
        of which the caller may know."""
        shares = row.get("shares")
        if caller.sees_all or not shares:
            return row
        return row | {"shares": {e: n for e, n in shares.items() if await self.sees(caller, e)}}

    async def shown(self, caller: Caller, event: Event, workspace: str | None = None) -> bool:
        """Whether a caller may know of an event, and it is of a workspace, if one is named. Of
        those that are of no experiment, all users are told what becomes of machines."""
        if workspace is None and caller.sees_all:
            return True
        if (experiment_id := experiment_in(event)) is None:
            of_machines = caller.experiment is None and event.type in OF_MACHINES
            return workspace is None and of_machines
        place = await self.home_of(experiment_id)
        if place is None or workspace not in (None, place):
            return False
        return caller.may(Role.VIEWER, place, experiment_id)

    def _remember(self, experiment_id: str, workspace: str) -> str:
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[experiment_id] = workspace
        return workspace
