"""What the scheduler decides: slots (`allocation.*`), orders to workers (`order.*`), nodes as it
knows them (`pool.*`) and what is missing (`demand.*`)."""

from typing import Literal

from pydantic import Field

from shoal_contract.base import Frozen, Id
from shoal_contract.events.base import Event
from shoal_contract.events.shapes import Placement, Rendezvous, RunOrder, Slot
from shoal_contract.events.trial import Task
from shoal_contract.resources import Resources, wish
from shoal_contract.states import Outcome, StopReason

_ALLOCATION = ("experiment_id", "allocation_id")
_ORDER = ("node_id", "allocation_id")
_NODE = ("node_id",)

Waiting = Literal[
    "behind", "held", "max_slots", "quota", "previous", "reserved", "leaving", "room", "machines"
]
"""Why an allocation waits: others are ahead; a person holds it; its experiment or its workspace
holds all that it may; its trial's previous attempt has not left; slots are free but kept for the
first in line; slots were asked back for it; too few slots are free; no machine could ever do."""


class AllocationQueued(Event, type="allocation.queued", key=_ALLOCATION):
    """An attempt of a trial waits for slots."""

    experiment_id: Id
    allocation_id: Id
    trial_id: Id
    task: Task
    resources: Resources
    at: float = 0
    """Unix seconds."""


class AllocationWaiting(Event, type="allocation.waiting", key=_ALLOCATION):
    """Why an allocation waits. Said when the reason becomes another one, and to the first in line
    when its words do, or the time at which it is to start."""

    experiment_id: Id
    allocation_id: Id
    trial_id: Id
    why: Waiting
    reason: str
    """One sentence, true when it was said."""
    again: bool = False
    """Whether the reason is the one that was said before."""
    expected_at: float | None = None
    """Unix seconds at which it may start; None: nobody can tell."""
    number: float = 0
    """Its place by age: smaller is served first, as far as priorities and shares allow."""
    since: float = 0
    """Unix seconds since when it counts as waiting."""
    pools: list[str] = Field(default_factory=list)
    """The pools that may serve it now, in order of preference."""
    ageing: float | None = 0
    """Seconds of waiting that count as one level of priority, 0: none do; None: the pool does not
    go by priority."""


class AllocationWidened(Event, type="allocation.widened", key=_ALLOCATION):
    """It has waited for `burst_after`: a further pool may serve it as well."""

    experiment_id: Id
    allocation_id: Id
    pool: str


class AllocationMoved(Event, type="allocation.moved", key=_ALLOCATION):
    """A person put it ahead of another in the queue."""

    experiment_id: Id
    allocation_id: Id
    number: float
    """Its place by age: smaller is served first."""
    since: float
    """Unix seconds since when it counts as waiting."""


class AllocationProgressed(Event, type="allocation.progressed", key=_ALLOCATION):
    """What the scheduler took note of about a run: how fast it is, and what is saved. Said at a
    checkpoint, and when its speed is known first or becomes another one."""

    experiment_id: Id
    allocation_id: Id
    at: float
    """Unix seconds."""
    saved_at: float | None = None
    """When its newest checkpoint was saved."""
    step: int = 0
    time: int = 0
    """Both as in the report that this follows."""
    speed: float | None = None
    """Steps a second of the whole gang; None: not known yet."""
    pace: float | None = None
    """Units of the time metric a second."""


class ShareChanged(Event, type="allocation.share_changed", key=("experiment_id",)):
    """An experiment's place among others is another one, as a person asked. None: as its file
    says."""

    experiment_id: Id
    weight: float | None
    priority: int | None
    max_slots: int | None
    """0: no limit."""
    hold: bool


class QuotaChanged(Event, type="allocation.quota_changed", key=("workspace",)):
    """A workspace's quota of a month is used up, or no more: the month has turned, or the quota is
    another one."""

    workspace: Id
    month: str
    """As `2026-11`, in UTC."""
    used_up: str
    """The quota that is, in words (`5000 slot-hours`); empty: none is."""
    slot_hours: float
    """Used in that month so far."""
    money: float
    """Spent in that month so far, as far as prices are known."""


class AllocationGranted(Event, type="allocation.granted", key=_ALLOCATION):
    """A gang got all its slots at once."""

    experiment_id: Id
    allocation_id: Id
    trial_id: Id
    attempt: int
    placements: list[Placement]
    rendezvous: Rendezvous
    at: float
    """Unix seconds."""
    price: float = 0
    """Money an hour for all its slots, as its pool's settings say; 0: they say nothing."""


class AllocationReleasing(Event, type="allocation.releasing", key=_ALLOCATION):
    """The runs of an allocation were told to checkpoint and leave."""

    experiment_id: Id
    allocation_id: Id
    reason: StopReason
    returns_to: str = ""
    """The pool in which its least is kept for it, as it is to come back at once in another size or
    place; empty: none."""


class RunSettled(Event, type="allocation.run_settled", key=_ALLOCATION):
    """One run of an allocation is over, and its slots are free or gone."""

    experiment_id: Id
    allocation_id: Id
    run_id: Id
    node_id: Id
    outcome: Outcome
    reason: str
    last_time: int | None = None
    """As in `run.exited`: where the run's last validation result is, in units of the time metric;
    None: it reported none, or it is not known."""
    failed_at: float | None = None
    """As in `run.exited`, with `echo`: whose failure was the first of the gang."""
    echo: bool = False


class AllocationEnded(Event, type="allocation.ended", key=_ALLOCATION):
    """All runs of an allocation are over and its slots are free (or gone with their node)."""

    experiment_id: Id
    allocation_id: Id
    trial_id: Id
    attempt: int
    outcome: Outcome
    reason: str
    slots: int
    """Slots it held; 0 if it never left the queue."""
    seconds: float
    """From grant to end."""
    last_time: int | None = None
    """Where its last validation result is, which may be heard later than this; None: there is
    none, or it is not known."""


class StartOrdered(Event, type="order.start", key=_ORDER):
    """A worker is to start a run. It ignores orders for another incarnation of itself."""

    node_id: Id
    incarnation: Id
    allocation_id: Id
    run: RunOrder


class ExtendOrdered(Event, type="order.extend", key=_ORDER):
    """A run may train on, up to `target`."""

    node_id: Id
    incarnation: Id
    allocation_id: Id
    run_id: Id
    target: int


class StopOrdered(Event, type="order.stop", key=_ORDER):
    """A run is to checkpoint and leave within `grace` seconds; then it is killed. Said again while
    its worker does not say that it ended."""

    node_id: Id
    incarnation: Id
    allocation_id: Id
    run_id: Id
    reason: StopReason
    grace: float = Field(ge=0)
    at: float = 0
    """Unix seconds."""


class NodeAdmitted(Event, type="pool.node_admitted", key=_NODE):
    """The scheduler counts on a node's slots from now on."""

    node_id: Id
    incarnation: Id
    pool: str
    host: str
    slots: list[Slot]
    ports: list[int]
    """Ports offered for rendezvous."""
    instance_id: Id | None
    labels: dict[str, str] = Field(default_factory=dict)


class NodeDraining(Event, type="pool.node_draining", key=_NODE):
    """The scheduler places nothing more on a node."""

    node_id: Id
    incarnation: Id
    instance_id: Id | None
    reason: str


class NodeRemoved(Event, type="pool.node_removed", key=_NODE):
    """A node left or was silent for too long; a worker that reads this of itself kills its runs."""

    node_id: Id
    incarnation: Id
    instance_id: Id | None
    reason: str


class NodeBusy(Event, type="pool.node_busy", key=_NODE):
    """An idle node got its first allocation."""

    node_id: Id
    instance_id: Id | None


class NodeIdle(Event, type="pool.node_idle", key=_NODE):
    """A node holds no allocation any more (or just joined)."""

    node_id: Id
    instance_id: Id | None


class SlotSetAside(Event, type="pool.slot_set_aside", key=_NODE):
    """A slot on which runs fail again and again; nothing more is placed on it until its node
    comes back as a new incarnation."""

    node_id: Id
    incarnation: Id
    slot: int
    reason: str


class Want(Frozen):
    """`count` gangs of `slots` slots each that may run now and find no place."""

    slots: int
    count: int
    slot_type: str | None = None
    """The model of slot that will do; None: any."""
    slot_memory: int | None = None
    """GB of memory that each slot must have; None: any."""

    @property
    def wish(self) -> str:
        """Which slots will do; see `shoal_contract.resources.wish`."""
        return wish(self.slot_type, self.slot_memory)


class DemandChanged(Event, type="demand.changed", key=("pool",)):
    """What waits in a pool for machines. An empty list: nothing does."""

    pool: Id
    wants: list[Want]
