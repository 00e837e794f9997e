"""What the scheduler decides: slots (`allocation.*`), orders to workers (`order.*`), nodes as it
knows them (`pool.*`) and what is missing (`demand.*`)."""

from pydantic import Field

from shoal_contract.base import Frozen, Id
from shoal_contract.config import Resources
from shoal_contract.events.base import Event
from shoal_contract.events.shapes import Placement, Rendezvous, RunOrder, Slot
from shoal_contract.events.trial import Task
from shoal_contract.states import Outcome, StopReason

_ALLOCATION = ("experiment_id", "allocation_id")
_ORDER = ("node_id", "allocation_id")
_NODE = ("node_id",)


class AllocationQueued(Event, type="allocation.queued", key=_ALLOCATION):
    """An attempt of a trial waits for slots."""

    experiment_id: Id
    allocation_id: Id
    trial_id: Id
    task: Task
    resources: Resources


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


class AllocationReleasing(Event, type="allocation.releasing", key=_ALLOCATION):
    """The runs of an allocation were told to checkpoint and leave."""

    experiment_id: Id
    allocation_id: Id
    reason: StopReason


class RunSettled(Event, type="allocation.run_settled", key=_ALLOCATION):
    """One run of an allocation is over, and its slots are free or gone."""

    experiment_id: Id
    allocation_id: Id
    run_id: Id
    node_id: Id
    outcome: Outcome
    reason: str


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
    """A run is to checkpoint and leave within `grace` seconds; then it is killed."""

    node_id: Id
    incarnation: Id
    allocation_id: Id
    run_id: Id
    reason: StopReason
    grace: float = Field(ge=0)


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


class Want(Frozen):
    """`count` gangs of `slots` slots each that may run now and find no place."""

    slots: int
    count: int


class DemandChanged(Event, type="demand.changed", key=("pool",)):
    """What waits in a pool for machines. An empty list: nothing does."""

    pool: Id
    wants: list[Want]
