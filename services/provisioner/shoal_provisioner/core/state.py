"""What the provisioner knows. Plain models and dicts; only `evolve` changes them, and it replaces
the dicts inside an instance or a pool rather than change them, so that a draft may share them."""

from pydantic import BaseModel, Field

from shoal_contract.events import Want
from shoal_contract.events.instance import Cause, PoolConfigured, PoolLimits, Use
from shoal_contract.states import InstanceState


class Instance(BaseModel):
    """A machine that has not ended."""

    instance_id: str
    pool: str
    slots: int
    state: InstanceState = InstanceState.REQUESTED
    requested_at: float = 0
    """Unix seconds, as all times here."""
    idle_since: float | None = None
    """None: it works, or has not joined."""
    busy_since: float | None = None
    """When it got work, until the demand is noted anew."""
    kind: str = ""
    zone: str = ""
    spot: bool = False
    price: float = 0
    list_price: float = 0
    node_id: str | None = None
    metered_at: float | None = None
    """Up to when its time is accounted for; None: it has not started, so it costs nothing."""
    shares: dict[str, int] = Field(default_factory=dict)
    """Allocation to the slots that it holds."""
    saved: dict[str, float] = Field(default_factory=dict)
    """Allocation to the time up to which its work is safe."""
    preempted: bool = False
    replaced: bool = False
    """Another machine was requested in its place."""

    @property
    def counts(self) -> bool:
        """Whether it is, or will be, there for work."""
        return self.state is not InstanceState.STOPPING

    @property
    def works(self) -> bool:
        """Whether something runs on it."""
        return bool(self.shares) or (self.node_id is not None and self.idle_since is None)

    @property
    def use(self) -> Use:
        """What it does with its time."""
        if self.node_id is None:
            return "starting"
        return "used" if self.shares else "idle"

    def at_risk(self, now: float) -> float:
        """USD of work on it that is not saved."""
        return sum(
            slots / self.slots * (now - self.saved.get(name, now)) / 3600 * self.price
            for name, slots in self.shares.items()
        )


class Past(BaseModel):
    """What was seen of one offer: a kind of machine in a zone, spot or on demand."""

    failures: int = 0
    """Failed attempts in a row, for want of stock or quota."""
    failed_at: float = 0
    cause: Cause = "other"
    preemptions: float = 0
    """Counted with a half-life, as `hours` are."""
    hours: float = 0
    """Machine-hours."""
    aged_at: float = 0
    obtainability: float = 1
    uptime: float | None = None


class TaskState(BaseModel):
    """Work with a deadline. See the event TaskNoted."""

    allocation_id: str | None
    slots: int
    total: float
    done: float
    begun_at: float
    deadline_at: float
    noted_at: float
    experiment_id: str | None = None
    target: int = 0
    time: float = 0
    saved: float = 0
    pace: float | None = None

    def done_by(self, now: float, runs: bool) -> float:
        """Seconds of it that are done, if it `runs` since it was noted."""
        return min(self.total, self.done + (now - self.noted_at if runs else 0.0))


class Work(BaseModel):
    """An experiment with a deadline or a budget of money. See the event ExperimentNoted."""

    begun_at: float
    deadline_at: float | None
    money: float | None
    units: int | None
    lanes: int
    most_lanes: int = 0
    spent: float = 0
    """USD of accounted time."""
    line: float = 0
    """The highest line of its budget that was crossed."""
    pace: float | None = None
    """As it was measured last."""
    times: dict[str, float] = Field(default_factory=dict)
    """Trial to how far it is, in units of the time metric."""
    saved: dict[str, float] = Field(default_factory=dict)
    """Trial to how far its newest checkpoint is."""


class Spent(BaseModel):
    """Money spent in one clock hour or day."""

    period: int = 0
    """Hours or days since 1970."""
    money: float = 0
    line: float = 0
    """The highest line crossed."""


class PoolState(BaseModel):
    """One pool's history, as far as it matters."""

    made: int = 0
    """Machines requested so far; the next one's number."""
    missing: dict[str, int] = Field(default_factory=dict)
    """Slots that waiting gangs ask for, by type; "": any."""
    wants: list[Want] = Field(default_factory=list)
    """All gangs that wait."""
    failures: int = 0
    """In a row, that say nothing of a place."""
    failed_at: float = 0
    short_since: float | None = None
    """Since when spot machines are wanted and cannot be had."""
    offers: dict[str, Past] = Field(default_factory=dict)
    tasks: dict[str, TaskState] = Field(default_factory=dict)
    spent: dict[str, Spent] = Field(default_factory=dict)
    """`hour` and `day`."""
    described: PoolConfigured | None = None
    """As its description was said to be."""
    changes: PoolLimits = PoolLimits()
    """What people changed of it."""
    draining: bool = False
    advice: str = ""
    """What was last said by a pool that observes."""

    @property
    def missing_slots(self) -> int:
        """Slots that waiting gangs ask for."""
        return sum(self.missing.values())


class State(BaseModel):
    """Everything."""

    pools: dict[str, PoolState] = Field(default_factory=dict)
    instances: dict[str, Instance] = Field(default_factory=dict)
    """Those that have not ended, in the order of request."""
    nodes: dict[str, str] = Field(default_factory=dict)
    """Node to its machine."""
    experiments: dict[str, Work] = Field(default_factory=dict)
    """Those with a deadline or a budget of money that have not ended."""

    def pool(self, name: str) -> PoolState:
        """A pool's history; an empty one if it has none."""
        return self.pools.get(name) or PoolState()

    def of(self, pool: str) -> list[Instance]:
        """A pool's machines."""
        return [i for i in self.instances.values() if i.pool == pool]

    def on_node(self, node_id: str) -> Instance | None:
        """The machine of a node, if it is ours."""
        return self.instances.get(self.nodes.get(node_id, ""))
