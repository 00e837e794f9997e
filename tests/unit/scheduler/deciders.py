"""A scheduler for each policy, which another interpreter can import."""

from shoal_scheduler.core.decider import SchedulerDecider
from shoal_scheduler.core.pools import PoolConfig, Pools, Workspace


def both(policy, **more):
    config = PoolConfig(policy=policy, min_run=2.0, resize_after=2.0, **more)
    return Pools(
        pools={"default": config, "other": config},
        workspaces={
            "v": Workspace(slot_hours=0.02, hard=True),
            "w": Workspace(max_slots=5),
        },
    )


class FifoDecider(SchedulerDecider):
    def __init__(self):
        super().__init__(both("fifo"))


class FairShareDecider(SchedulerDecider):
    def __init__(self):
        super().__init__(both("fair_share", share_by="workspace"))


class PriorityDecider(SchedulerDecider):
    def __init__(self):
        super().__init__(both("priority", ageing=60.0))


class ThroughputDecider(SchedulerDecider):
    def __init__(self):
        super().__init__(both("throughput", round=5.0))
