"""What the provisioner decides about machines."""

from typing import Literal

from pydantic import Field

from shoal_contract.base import Frozen, Id
from shoal_contract.events.allocation import Want
from shoal_contract.events.base import Event

Use = Literal["starting", "idle", "used"]
"""What a machine does with its seconds."""
Cause = Literal["stock_out", "quota", "permission", "config", "other"]
"""Why a machine could not be started: the first two say something of a place, not of a pool."""

_INSTANCE = ("pool", "instance_id")


class InstanceRequested(Event, type="instance.requested", key=_INSTANCE):
    """A machine is to be started. Its id is the idempotency key at the cloud."""

    pool: Id
    instance_id: Id
    slots: int
    reason: str
    at: float
    """Unix seconds."""
    kind: str = ""
    """The name of the kind of machine in the pool's description."""
    zone: str = ""
    spot: bool = False
    price: float = 0.0
    """USD an hour while it runs."""
    list_price: float = 0.0
    """USD an hour of the same machine on demand."""
    replaces: Id | None = None
    """The preempted machine in whose place it comes."""


class InstanceStarted(Event, type="instance.started", key=_INSTANCE):
    """The cloud says that the machine runs."""

    pool: Id
    instance_id: Id
    at: float


class InstanceJoined(Event, type="instance.joined", key=_INSTANCE):
    """The machine's worker joined as a node."""

    pool: Id
    instance_id: Id
    node_id: Id
    at: float


class InstanceIdled(Event, type="instance.idled", key=_INSTANCE):
    """The machine's node fell idle (or, `idle` false, got work again)."""

    pool: Id
    instance_id: Id
    idle: bool
    at: float


class InstanceStopping(Event, type="instance.stopping", key=_INSTANCE):
    """A machine is to be stopped."""

    pool: Id
    instance_id: Id
    reason: str
    at: float


class InstanceStopped(Event, type="instance.stopped", key=_INSTANCE):
    """A machine is gone."""

    pool: Id
    instance_id: Id
    reason: str
    at: float


class InstanceFailed(Event, type="instance.failed", key=_INSTANCE):
    """A machine could not be started, or its worker never joined."""

    pool: Id
    instance_id: Id
    reason: str
    at: float
    cause: Cause = "other"


class InstancePreempted(Event, type="instance.preempted", key=_INSTANCE):
    """The cloud takes a machine back. Said once, however many ways it was learned."""

    pool: Id
    instance_id: Id
    source: str
    """Who knew it first: `pubsub`, `worker` or `poll`."""
    at: float


class InstanceAdopted(Event, type="instance.adopted", key=_INSTANCE):
    """A machine with our mark that was in no record counts from now on."""

    pool: Id
    instance_id: Id
    slots: int
    kind: str
    zone: str
    spot: bool
    price: float
    list_price: float
    at: float


class InstanceDisowned(Event, type="instance.disowned", key=_INSTANCE):
    """A machine with our mark that is in no record and not wanted is to be stopped."""

    pool: Id
    instance_id: Id
    zone: str
    reason: str
    at: float
    spot: bool = False
    price: float = 0.0
    """As far as it is known; it costs until it is gone."""
    list_price: float = 0.0


class InstanceMetered(Event, type="instance.metered", key=_INSTANCE):
    """What a machine did from `since` to `at`, and what that cost. The intervals of a machine
    follow one another without a gap, from its start to its end, and cross no full hour."""

    pool: Id
    instance_id: Id
    use: Use
    slots: int
    shares: dict[Id, int]
    """Allocation to the slots that it held meanwhile; slots that nobody held were idle."""
    next_shares: dict[Id, int]
    """The same from `at` on."""
    since: float
    at: float
    cost: float
    """USD."""
    list_cost: float
    """What the same time would have cost on demand."""
    kind: str = ""
    spot: bool = False


class WorkSaved(Event, type="instance.work_saved", key=_INSTANCE):
    """What an allocation did on a machine is safe up to now."""

    pool: Id
    instance_id: Id
    allocation_id: Id
    at: float


class WorkLost(Event, type="instance.work_lost", key=_INSTANCE):
    """The last `seconds` of an allocation on a machine have to be done again: of its cost, that
    much was not use but loss."""

    pool: Id
    instance_id: Id
    allocation_id: Id
    seconds: float
    cost: float
    at: float
    share: float = 1.0
    """Of the machine that the allocation held, 0 to 1."""
    list_cost: float = 0.0
    """What the same would have cost on demand."""
    kind: str = ""
    spot: bool = False


class BudgetCrossed(Event, type="instance.budget_crossed", key=("pool",)):
    """A pool spent a share of what it may spend in the current hour or day (UTC)."""

    pool: Id
    period: Literal["hour", "day"]
    share: float
    """1: the cap. Its machines checkpoint and are released, and none starts until the period ends.
    """
    spent: float
    limit: float
    at: float


class ObtainabilityNoted(Event, type="instance.obtainability_noted", key=("pool",)):
    """How likely a place is to have machines, as the cloud says."""

    pool: Id
    offer: str
    obtainability: float
    """0 to 1."""
    uptime: float | None
    """Seconds that most spot machines live at least."""
    at: float


class ExperimentNoted(Event, type="instance.experiment_noted", key=("experiment_id",)):
    """An experiment with a deadline or a budget of money began, or was made larger or smaller."""

    experiment_id: Id
    begun_at: float
    deadline_at: float | None
    money: float | None
    """USD."""
    units: int | None
    """Units of the time metric that its trials train in all, as expected."""
    lanes: int
    """Trials that train side by side, as expected."""
    most_lanes: int = 0
    """As many as its slots and the pool allow; 0: any number."""


class ExperimentLeft(Event, type="instance.experiment_left", key=("experiment_id",)):
    """An experiment with a deadline or a budget of money has ended."""

    experiment_id: Id
    at: float


class ExperimentBudgetCrossed(
    Event, type="instance.experiment_budget_crossed", key=("experiment_id",)
):
    """An experiment spent a share of its budget of money."""

    experiment_id: Id
    share: float
    """1: all of it, with what its machines cost until they are released. The search ends."""
    spent: float
    limit: float
    at: float


class TaskNoted(Event, type="instance.task_noted", key=("pool",)):
    """How far a trial with a deadline is, and the trials that follow it in its place."""

    pool: Id
    task_id: Id
    """The trial."""
    allocation_id: Id | None
    """Its newest attempt; None: it has none."""
    slots: int
    total: float
    """Seconds of computing, all in all; 0: it neither runs nor waits."""
    done: float
    """Of these, done at `at`."""
    begun_at: float
    deadline_at: float
    at: float
    experiment_id: Id | None = None
    target: int = 0
    """How far the trial is to train, in units of the time metric."""
    time: float = 0
    """How far it is."""
    saved: float = 0
    """How far its newest checkpoint is."""
    pace: float | None = None
    """Units a second; None: not known yet."""


class PoolLimits(Frozen):
    """What people may change of a pool. None: as it is, or was."""

    mode: Literal["act", "observe"] | None = None
    min_instances: int | None = Field(default=None, ge=0)
    max_instances: int | None = Field(default=None, ge=0)
    per_hour: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """USD that it may spend in a clock hour."""
    per_day: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """The same for a day (UTC)."""

    @property
    def given(self) -> dict[str, str | int | float]:
        """Those that are not None."""
        return self.model_dump(exclude_none=True)


class PoolConfigured(Event, type="instance.pool_configured", key=("pool",)):
    """A pool as its description has it. Said when the provisioner first serves it, and when its
    description became another one."""

    pool: Id
    driver: str
    provisioning: Literal["spot", "on_demand"]
    deadline_policy: str
    kinds: list[str]
    zones: list[str]
    limits: PoolLimits
    at: float


class PoolDropped(Event, type="instance.pool_dropped", key=("pool",)):
    """A pool is not configured any more; its machines are stopped."""

    pool: Id
    at: float


class PoolChanged(Event, type="instance.pool_changed", key=("pool",)):
    """A pool goes by other limits than its description's, as a person asked."""

    pool: Id
    changes: PoolLimits
    """All that differ from now on; none: it goes by its description."""
    draining: bool
    """Whether its machines are released, and none starts."""
    at: float


class PoolAdvised(Event, type="instance.advised", key=("pool",)):
    """What a pool that only observes would do now; empty: nothing."""

    pool: Id
    would: str
    at: float


class DemandNoted(Event, type="instance.demand_noted", key=("pool",)):
    """The provisioner took note of a pool's demand."""

    pool: Id
    missing_slots: int
    """Slots that waiting gangs ask for."""
    by_type: dict[str, int] = Field(default_factory=dict)
    """The same by the slots that will do; see `shoal_contract.resources.wish`."""
    wants: list[Want] = Field(default_factory=list)
    """All gangs that wait, those included that the pool could not hold."""
