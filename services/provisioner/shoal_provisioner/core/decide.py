"""What follows from each message: which machines to start and to stop."""

from collections.abc import Mapping, Sequence

from shoal_contract.events import (
    AllocationGranted,
    AllocationProgressed,
    CheckpointSaved,
    DemandChanged,
    DemandNoted,
    Event,
    InstanceFailed,
    InstanceIdled,
    InstanceJoined,
    InstanceStarted,
    InstanceStopped,
    NodeAdmitted,
    NodeBusy,
    NodeDraining,
    NodeIdle,
    NodeRemoved,
    PoolChangeRequested,
    PoolDrainRequested,
    PoolResumeRequested,
    RunSettled,
    SearchAccepted,
    SearchCancelled,
    SearchChanged,
    SearchCompleted,
    SearchFailed,
    TrialCancelled,
    TrialCheckpointed,
    TrialCompleted,
    TrialExtended,
    TrialFailed,
    TrialInterrupted,
    TrialMeasured,
    TrialPaused,
    TrialRequested,
    TrialStarted,
    TrialStopped,
    Want,
)
from shoal_contract.events.instance import (
    Cause,
    InstancePreempted,
    ObtainabilityNoted,
)
from shoal_contract.events.run import PREEMPTED
from shoal_contract.states import InstanceState
from shoal_decider import Message, Tick
from shoal_provisioner.core import money, requests, usage, work
from shoal_provisioner.core.adopt import adopt, found
from shoal_provisioner.core.balance import balance
from shoal_provisioner.core.draft import Draft
from shoal_provisioner.core.messages import (
    MachineFailed,
    MachineFound,
    MachineGone,
    MachinePreempted,
    MachineStarted,
    Obtainability,
    PoolsRead,
)
from shoal_provisioner.core.offers import Offer
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.state import Instance, State

Offers = Mapping[str, Sequence[Offer]]


def decide(
    state: State, message: Message, pools: Mapping[str, Pool], offers: Offers
) -> Sequence[Event]:
    """What follows from one message. What is unknown, over or old has no effect. `pools` are as
    they are described; what people changed of them is in the state."""
    draft, described = Draft.of(state, message.now), pools
    pools = requests.as_changed(described, state)
    match message.body:
        case DemandChanged() as body:
            _wanted(draft, body.pool, body.wants, pools)
        case AllocationGranted() | RunSettled() | CheckpointSaved() as body:
            usage.note(draft, body)
            return draft.events  # of use, and nothing to start or stop
        case NodeAdmitted() as body:
            _admitted(draft, body, pools, offers)
        case NodeIdle() | NodeBusy() | NodeDraining() | NodeRemoved() as body:
            _node(draft, body)
        case MachineStarted() | MachineFailed() | MachineGone() | MachinePreempted() as body:
            _answered(draft, body, pools, offers)
        case MachineFound() as body:
            found(draft, body, pools, offers)
        case Obtainability() as body:
            _obtainability(draft, body)
        case PoolChangeRequested() | PoolDrainRequested() | PoolResumeRequested() as body:
            requests.requested(draft, body, described)
            pools = requests.as_changed(described, draft.state)
            _wanted(draft, body.pool, draft.state.pool(body.pool).wants, pools)
        case PoolsRead():
            requests.configure(draft, described)
            for name, history in list(draft.state.pools.items()):
                _wanted(draft, name, history.wants, pools)
        case (
            SearchAccepted()
            | SearchChanged()
            | SearchCompleted()
            | SearchCancelled()
            | (SearchFailed()) as body
        ):
            work.of_search(draft, body, pools)
        case (
            TrialRequested()
            | TrialStarted()
            | TrialExtended()
            | TrialMeasured()
            | TrialCheckpointed()
            | TrialInterrupted()
            | TrialPaused()
            | TrialCompleted()
            | TrialStopped()
            | TrialCancelled()
            | TrialFailed()
            | (AllocationProgressed()) as body
        ):
            work.of_trial(draft, body, pools)
        case Tick():
            money.meter_hours(draft)
            work.guard(draft)
        case _:
            pass
    # Word of a machine that is not ours changes nothing, and so starts nothing.
    if draft.events or isinstance(message.body, Tick | DemandChanged):
        balance(draft, pools, offers)
    return draft.events


def _wanted(draft: Draft, name: str, wants: Sequence[Want], pools: Mapping[str, Pool]) -> None:
    """Take note of what waits, and of what of it the pool could serve."""
    known, missing = draft.state.pool(name), _missing(wants, pools.get(name))
    if missing != known.missing or list(wants) != known.wants:
        total = sum(missing.values())
        draft.emit(DemandNoted(pool=name, missing_slots=total, by_type=missing, wants=list(wants)))


def _missing(wants: Sequence[Want], pool: Pool | None) -> dict[str, int]:
    """Slots that waiting gangs ask for, by type. A gang spreads over machines, so only the sum
    counts; for one that all machines of the pool together cannot hold, none is started."""
    found: dict[str, int] = {}
    for want in wants:
        if pool is not None and want.slots <= pool.most_slots(want.wish):
            found[want.wish] = found.get(want.wish, 0) + want.slots * want.count
    return found


def _admitted(draft: Draft, body: NodeAdmitted, pools: Mapping[str, Pool], offers: Offers) -> None:
    if body.instance_id not in draft.state.instances and body.pool in pools:
        adopt(draft, body, pools[body.pool], offers[body.pool])
    instance = draft.instance(body.instance_id, "instance.joined")
    if instance is None:
        return
    money.meter(draft, instance.instance_id)
    draft.emit(
        InstanceJoined(
            pool=instance.pool,
            instance_id=instance.instance_id,
            node_id=body.node_id,
            at=draft.now,
        )
    )


def _node(draft: Draft, body: NodeIdle | NodeBusy | NodeDraining | NodeRemoved) -> None:
    match body:
        case NodeIdle() | NodeBusy():
            known = draft.state.instances.get(body.instance_id or "")
            idle = isinstance(body, NodeIdle)
            if (
                known is not None
                and known.state is InstanceState.JOINED
                and (known.idle_since is not None) != idle
            ):
                draft.emit(
                    InstanceIdled(
                        pool=known.pool, instance_id=known.instance_id, idle=idle, at=draft.now
                    )
                )
        case NodeRemoved():
            if instance := draft.instance(body.instance_id, "instance.stopping"):
                draft.stop(instance, f"its node is gone: {body.reason}")
        case NodeDraining():
            # It still runs, but is there for no new work.
            instance = draft.instance(body.instance_id, "instance.stopping")
            if instance is not None and PREEMPTED in body.reason:
                _preempted(draft, instance.instance_id, "worker")
            elif instance is not None:
                draft.stop(instance, f"its node drains: {body.reason}")


def _preempted(draft: Draft, instance_id: str, source: str) -> None:
    """The cloud takes a machine back: counted once, whoever says it first."""
    machine = draft.state.instances[instance_id]
    if not machine.preempted:
        draft.emit(
            InstancePreempted(
                pool=machine.pool, instance_id=instance_id, source=source, at=draft.now
            )
        )
    draft.stop(machine, "the cloud takes it back")


def _answered(
    draft: Draft,
    body: MachineStarted | MachineFailed | MachineGone | MachinePreempted,
    pools: Mapping[str, Pool],
    offers: Offers,
) -> None:
    known = draft.state.instances.get(body.instance_id)
    if known is None:
        return
    match body:
        case MachineStarted():
            if draft.instance(body.instance_id, "instance.started"):
                draft.emit(
                    InstanceStarted(pool=known.pool, instance_id=known.instance_id, at=draft.now)
                )
        case MachinePreempted():
            _preempted(draft, body.instance_id, body.source)
        case MachineFailed():
            _ended(draft, known, body.reason, body.cause)
        case MachineGone():
            if body.preempted:
                _preempted(draft, body.instance_id, "poll")
                balance(draft, pools, offers)  # while it is known what is to be replaced
            _ended(draft, known, body.reason, "other")


def _ended(draft: Draft, known: Instance, reason: str, cause: Cause) -> None:
    """A machine is gone. One that vanished before its worker joined has failed to start."""
    ids = {"pool": known.pool, "instance_id": known.instance_id}
    money.close(draft, known.instance_id)
    if draft.instance(known.instance_id, "instance.failed"):
        draft.emit(InstanceFailed(**ids, reason=reason, at=draft.now, cause=cause))
    elif draft.instance(known.instance_id, "instance.stopped"):
        draft.emit(InstanceStopped(**ids, reason=reason, at=draft.now))


def _obtainability(draft: Draft, body: Obtainability) -> None:
    past = draft.state.pool(body.pool).offers.get(body.offer)
    known = (past.obtainability, past.uptime) if past is not None else (1.0, None)
    if known != (body.obtainability, body.uptime):
        draft.emit(ObtainabilityNoted(**body.model_dump(), at=draft.now))
