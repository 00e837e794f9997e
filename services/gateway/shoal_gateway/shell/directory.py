"""Which workspace each experiment belongs to. It never changes, so it is remembered."""

import re
from collections.abc import Iterable

from shoal_contract.base import ID_PATTERN
from shoal_contract.events import Event, ExperimentSubmitted
from shoal_contract.ids import experiment_of, experiment_of_trial
from shoal_contract.roles import Role
from shoal_gateway.core import keys
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.rows import Row
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


class Directory:
    """Experiments by id."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._known: dict[str, str] = {}

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

    async def shown(self, caller: Caller, event: Event) -> bool:
        """Whether a caller may know of an event. Of those that are of no experiment, all users are
        told what becomes of machines."""
        if caller.sees_all:
            return True
        if isinstance(event, ExperimentSubmitted):
            self._remember(event.experiment_id, event.config.resources.workspace)
        if (experiment_id := experiment_in(event)) is not None:
            return await self.sees(caller, experiment_id)
        return caller.experiment is None and event.type in OF_MACHINES

    def _remember(self, experiment_id: str, workspace: str) -> str:
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[experiment_id] = workspace
        return workspace


def experiment_in(event: Event) -> str | None:
    """The experiment that an event is of, as far as its ids tell."""
    if (found := getattr(event, "experiment_id", None)) is not None:
        return str(found)
    if (trial_id := getattr(event, "trial_id", None)) is not None:
        return experiment_of_trial(str(trial_id))
    allocation_id = getattr(event, "allocation_id", None)
    return None if allocation_id is None else experiment_of(str(allocation_id))
