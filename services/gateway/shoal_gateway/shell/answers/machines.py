"""Answers about machines: nodes, instances, pools, the queue, and what all of it costs."""

from typing import Literal

from shoal_contract.states import NodeState
from shoal_gateway.shell.answers.base import Answer, Paged


class SlotRow(Answer):
    """One GPU, or one share of the CPU."""

    number: int
    kind: Literal["cpu", "cuda"]
    model: str
    memory: int
    """Bytes; 0: not known."""
    uuid: str


class NodeRow(Answer):
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
    """When it came into this state."""
    used: int
    """How many of its slots are."""
    trials: list[str]
    """Those that use them, as far as the caller may know."""
    aside: dict[str, str]
    """The numbers of slots on which run after run failed, so that nothing is placed there until
    the worker is started anew, and why each."""


class Nodes(Paged):
    """Nodes, in the order in which they were admitted."""

    items: list[NodeRow]


class InstanceRow(Answer):
    """A machine that the provisioner asked a cloud for. What did not happen yet is left out."""

    pool: str
    instance_id: str
    state: Literal["requested", "started", "joined", "stopping", "stopped", "failed"]
    reason: str | None = None
    since: float
    """When it came into this state."""
    requested_at: float
    started_at: float | None = None
    joined_at: float | None = None
    node_id: str | None = None
    slots: int | None = None
    kind: str | None = None
    """Of machine, as the pool's description calls it."""
    zone: str | None = None
    spot: bool | None = None
    price: float | None = None
    """USD an hour while it runs."""
    list_price: float | None = None
    """USD an hour of the same machine on demand."""
    replaces: str | None = None
    """The preempted machine in whose place it came."""
    idle: bool | None = None
    preempted: bool | None = None
    metered_at: float | None = None
    """Up to when it is accounted for."""
    shares: dict[str, int] | None = None
    """Allocations that hold its slots, as far as the caller may know, to how many."""


class Instances(Paged):
    """Machines, in the order in which they were asked for."""

    items: list[InstanceRow]


class LimitsRow(Answer):
    """What a pool goes by."""

    mode: Literal["act", "observe"] | None = None
    min_instances: int | None = None
    max_instances: int | None = None
    per_hour: float | None = None
    """USD that it may spend in a clock hour."""
    per_day: float | None = None
    """The same for a day (UTC)."""


class Crossed(Answer):
    """A share of a pool's budget that was spent."""

    period: Literal["hour", "day"]
    share: float
    """1: all of it."""
    spent: float
    limit: float
    at: float


class PoolRow(Answer):
    """A resource pool with its machines added up."""

    pool: str
    driver: str
    provisioning: Literal["spot", "on_demand"]
    deadline_policy: str
    kinds: list[str]
    zones: list[str]
    limits: LimitsRow
    """In force now."""
    configured: LimitsRow
    """Its description's; they differ where a person changed them."""
    draining: bool
    missing_slots: int
    """That waiting gangs ask for."""
    would: str | None
    """What a pool that only observes would do now."""
    crossed: Crossed | None
    instances: dict[str, int]
    """How many are in each state."""
    spot: int
    """How many of them are spot machines."""
    slots: int
    cost_per_hour: float
    """USD."""


class PoolMachines(PoolRow):
    """A resource pool with its machines one by one."""

    machines: list[InstanceRow]


class Pools(Paged):
    """The resource pools that the provisioner serves."""

    items: list[PoolRow]


class PoolChangeAsked(Answer):
    """A pool is to go by other limits."""

    pool: str
    requested: Literal["change"]
    limits: LimitsRow


class PoolDrainAsked(Answer):
    """A pool, or one node of it, is to be emptied."""

    pool: str
    requested: Literal["drain"]
    node_id: str | None


class PoolResumeAsked(Answer):
    """A pool is to start machines again."""

    pool: str
    requested: Literal["resume"]


class Waiting(Answer):
    """An attempt that waits for slots."""

    allocation_id: str
    experiment_id: str
    trial_id: str
    attempt: int
    pool: str
    """The first that may serve it."""
    pools: list[str]
    """All that may serve it now, in order of preference."""
    priority: int
    slots: int
    """The fewest that it takes."""
    queued_at: float
    hold: bool
    """Whether a person holds its experiment back."""
    since: float
    """Since when it counts as waiting."""
    why: str | None
    """In a word."""
    reason: str | None
    """In a sentence."""
    expected_at: float | None
    """When it may start, where that can be told."""


class Queue(Paged):
    """What waits, pool by pool, the first in line first."""

    items: list[Waiting]
    waiting: int
    """How many there are in all, also of experiments that the caller may not see."""


class Uses(Answer):
    """Something by what a machine did meanwhile."""

    used: float
    lost: float
    """Work that has to be done again."""
    idle: float
    starting: float


class Sums(Uses):
    """USD, in all and by what machines did."""

    cost: float
    on_demand: float
    """What the same time but for what was lost would have cost on demand."""
    saved: float | None
    """The part of `on_demand` that was not spent."""
    machine_seconds: Uses


class OfExperiment(Sums):
    """What an experiment cost."""

    experiment: str | None
    """Null: none; `others`: those that the caller may not see."""


class OfPool(Sums):
    """What a pool cost."""

    pool: str | None


class OfKind(Sums):
    """What a kind of machine cost."""

    kind: str | None


class OfDay(Sums):
    """What a day (UTC) cost."""

    day: str | None


class CostBy(Answer):
    """The same money, divided in four ways."""

    experiment: list[OfExperiment]
    pool: list[OfPool]
    kind: list[OfKind]
    day: list[OfDay]


class Cost(Answer):
    """What machines cost, in USD."""

    since: str | None
    """The first day (UTC); null: the beginning."""
    until: float
    total: Sums
    by: CostBy
