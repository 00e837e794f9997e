"""Answers about machines: nodes, instances, pools, the queue, and what all of it costs."""

from typing import Literal, NotRequired, TypedDict

NodeState = Literal["ready", "draining", "removed"]


class SlotRow(TypedDict):
    """One GPU, or one share of the CPU."""

    number: int
    kind: Literal["cpu", "cuda"]
    model: str
    memory: int
    uuid: str


class NodeRow(TypedDict):
    """A machine with slots, as the scheduler sees it."""

    node_id: str
    incarnation: str
    pool: str
    host: str
    slots: list[SlotRow]
    instance_id: str | None
    labels: dict[str, str]
    state: NodeState
    reason: str | None
    since: float
    used: int
    trials: list[str]
    aside: dict[str, str]


class InstanceRow(TypedDict):
    """A machine that the provisioner asked a cloud for. What did not happen yet is left out."""

    pool: str
    instance_id: str
    state: Literal["requested", "started", "joined", "stopping", "stopped", "failed"]
    reason: NotRequired[str | None]
    since: float
    requested_at: float
    started_at: NotRequired[float | None]
    joined_at: NotRequired[float | None]
    node_id: NotRequired[str | None]
    slots: NotRequired[int | None]
    kind: NotRequired[str | None]
    zone: NotRequired[str | None]
    spot: NotRequired[bool | None]
    price: NotRequired[float | None]
    list_price: NotRequired[float | None]
    replaces: NotRequired[str | None]
    idle: NotRequired[bool | None]
    preempted: NotRequired[bool | None]
    metered_at: NotRequired[float | None]
    shares: NotRequired[dict[str, int] | None]


class LimitsRow(TypedDict):
    """What a pool goes by."""

    mode: NotRequired[Literal["act", "observe"] | None]
    min_instances: NotRequired[int | None]
    max_instances: NotRequired[int | None]
    per_hour: NotRequired[float | None]
    per_day: NotRequired[float | None]


class Crossed(TypedDict):
    """A share of a pool's budget that was spent."""

    period: Literal["hour", "day"]
    share: float
    spent: float
    limit: float
    at: float


class PoolRow(TypedDict):
    """A resource pool with its machines added up."""

    pool: str
    driver: str
    provisioning: Literal["spot", "on_demand"]
    deadline_policy: str
    kinds: list[str]
    zones: list[str]
    limits: LimitsRow
    configured: LimitsRow
    draining: bool
    missing_slots: int
    would: str | None
    crossed: Crossed | None
    instances: dict[str, int]
    spot: int
    slots: int
    cost_per_hour: float


class PoolMachines(PoolRow):
    """A resource pool with its machines one by one."""

    machines: list[InstanceRow]


class PoolChangeAsked(TypedDict):
    """A pool is to go by other limits."""

    pool: str
    requested: Literal["change"]
    limits: LimitsRow


class PoolDrainAsked(TypedDict):
    """A pool, or one node of it, is to be emptied."""

    pool: str
    requested: Literal["drain"]
    node_id: str | None


class PoolResumeAsked(TypedDict):
    """A pool is to start machines again."""

    pool: str
    requested: Literal["resume"]


class Waiting(TypedDict):
    """An attempt that waits for slots."""

    allocation_id: str
    experiment_id: str
    trial_id: str
    attempt: int
    pool: str
    pools: list[str]
    priority: int
    slots: int
    queued_at: float
    hold: bool
    since: float
    why: str | None
    reason: str | None
    expected_at: float | None


class Uses(TypedDict):
    """Something by what a machine did meanwhile."""

    used: float
    lost: float
    idle: float
    starting: float


class Sums(Uses):
    """USD, in all and by what machines did."""

    cost: float
    on_demand: float
    saved: float | None
    machine_seconds: Uses


class OfExperiment(Sums):
    """What an experiment cost."""

    experiment: str | None


class OfPool(Sums):
    """What a pool cost."""

    pool: str | None


class OfKind(Sums):
    """What a kind of machine cost."""

    kind: str | None


class OfDay(Sums):
    """What a day (UTC) cost."""

    day: str | None


class CostBy(TypedDict):
    """The same money, divided in four ways."""

    experiment: list[OfExperiment]
    pool: list[OfPool]
    kind: list[OfKind]
    day: list[OfDay]


class Cost(TypedDict):
    """What machines cost, in USD."""

    since: str | None
    until: float
    total: Sums
    by: CostBy
