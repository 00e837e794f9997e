"""The questions about machines: those of a pool, what waits for them, and what they cost."""

from shoal.asking import Row, Steps, given, items, pages, part, question, row


class Pools:
    """The questions, for both clients. Each raises ShoalError as those of `Api` do."""

    @question
    def nodes(self) -> Steps[list[Row]]:
        """Machines with slots."""
        return pages("/v1/nodes")

    @question
    def instances(self) -> Steps[list[Row]]:
        """Machines that the platform asked clouds for."""
        return pages("/v1/instances")

    @question
    def queue(self, *, pool: str | None = None, limit: int = 1000) -> Steps[list[Row]]:
        """What waits for slots, pool by pool, the first in line first."""
        return items("/v1/queue", pool=pool, limit=limit)

    @question
    def pools(self) -> Steps[list[Row]]:
        """Resource pools, each with its machines added up."""
        return pages("/v1/pools")

    @question
    def pool(self, name: str) -> Steps[Row]:
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
    ) -> Steps[Row]:
        """Ask that a pool goes by other limits (money in USD); what is None stays. `reset`: first
        of all, everything is as its description says."""
        body = given(mode=mode, min_instances=min_instances, max_instances=max_instances,
                      per_hour=per_hour, per_day=per_day)  # fmt: skip
        return row("PATCH", f"/v1/pools/{part(name)}", json=body | {"reset": reset})

    @question
    def drain_pool(self, name: str, node_id: str | None = None) -> Steps[Row]:
        """Ask that all machines of a pool, or one node of it, checkpoint and go."""
        return row("POST", f"/v1/pools/{part(name)}/drain", json=given(node_id=node_id))

    @question
    def resume_pool(self, name: str) -> Steps[Row]:
        """Ask that a pool that was drained starts machines again."""
        return row("POST", f"/v1/pools/{part(name)}/resume")

    @question
    def cost(
        self, *, experiment: str | None = None, pool: str | None = None, since: str | None = None
    ) -> Steps[Row]:
        """What machines cost, in `total` and `by` experiment, pool, kind and day, in USD. `since`
        is a day (UTC), or `7d` for the last seven."""
        params = given(experiment=experiment, pool=pool, since=since)
        return row("GET", "/v1/cost", params=params)
