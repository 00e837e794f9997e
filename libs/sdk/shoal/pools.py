"""The questions about machines: those of a pool, what waits for them, and what they cost."""

from shoal.answers.experiments import ShareRequested
from shoal.answers.machines import (
    Cost,
    InstanceRow,
    NodeRow,
    PoolChangeAsked,
    PoolDrainAsked,
    PoolMachines,
    PoolResumeAsked,
    PoolRow,
    Waiting,
)
from shoal.answers.trials import TrialMoved
from shoal.asking import (
    Steps,
    experiment_path,
    given,
    meant,
    pages,
    part,
    question,
    row,
    trial_path,
)


class Pools:
    """The questions, for both clients. Each raises ShoalError as those of `Api` do."""

    @question
    def nodes(self) -> Steps[list[NodeRow]]:
        """Machines with slots."""
        return pages("/v1/nodes")

    @question
    def instances(self) -> Steps[list[InstanceRow]]:
        """Machines that the platform asked clouds for."""
        return pages("/v1/instances")

    @question
    def queue(self, *, pool: str | None = None, limit: int | None = None) -> Steps[list[Waiting]]:
        """What waits for slots, pool by pool, the first in line first; `limit` None: all."""
        return pages("/v1/queue", limit, pool=pool)

    @question
    def pools(self) -> Steps[list[PoolRow]]:
        """Resource pools, each with its machines added up."""
        return pages("/v1/pools")

    @question
    def pool(self, name: str) -> Steps[PoolMachines]:
        """One resource pool, with its `machines` one by one."""
        return row("GET", f"/v1/pools/{part(name)}")

    @question
    def change_pool(
        self,
        name: str,
        *,
        mode: str | None = None,
        min_instances: int | None = None,
        max_instances: int | None = None,
        per_hour: float | None = None,
        per_day: float | None = None,
        reset: bool = False,
    ) -> Steps[PoolChangeAsked]:
        """Ask that a pool goes by other limits (money in USD); what is None stays. `reset`: first
        of all, everything is as its description says."""
        body = given(mode=mode, min_instances=min_instances, max_instances=max_instances,
                      per_hour=per_hour, per_day=per_day)  # fmt: skip
        return row("PATCH", f"/v1/pools/{part(name)}", json=body | {"reset": reset})

    @question
    def drain_pool(self, name: str, node_id: str | None = None) -> Steps[PoolDrainAsked]:
        """Ask that all machines of a pool, or one node of it, checkpoint and go."""
        return row("POST", f"/v1/pools/{part(name)}/drain", json=given(node_id=node_id))

    @question
    def resume_pool(self, name: str) -> Steps[PoolResumeAsked]:
        """Ask that a pool that was drained starts machines again."""
        return row("POST", f"/v1/pools/{part(name)}/resume")

    @question
    def cost(
        self, *, experiment: str | None = None, pool: str | None = None, since: str | None = None
    ) -> Steps[Cost]:
        """What machines cost, in `total` and `by` experiment, pool, kind and day, in USD. `since`
        is a day (UTC), or `7d` for the last seven."""
        params = given(experiment=experiment, pool=pool, since=since)
        return row("GET", "/v1/cost", params=params)

    @question
    def share(
        self,
        experiment_id: str,
        *,
        weight: float | None = None,
        priority: int | None = None,
        max_slots: int | None = None,
        hold: bool | None = None,
        revision: int | None = None,
    ) -> Steps[ShareRequested]:
        """Ask that an experiment gets another place among others; what is None stays. `revision` as
        in `edit`."""
        body = given(weight=weight, priority=priority, max_slots=max_slots, hold=hold)
        path = f"{experiment_path(experiment_id)}/share"
        return row("PATCH", path, json=body, headers=meant(revision))

    @question
    def move_trial(self, trial_id: str, ahead_of: str) -> Steps[TrialMoved]:
        """Ask that a waiting trial is served before another that waits."""
        return row("POST", f"{trial_path(trial_id)}/move", json={"ahead_of": ahead_of})
