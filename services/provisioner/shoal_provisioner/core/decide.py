"""What follows from each message: which machines to start and to stop."""

from collections.abc import Mapping, Sequence

from shoal_contract.events import (
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
)
from shoal_contract.states import InstanceState
from shoal_decider import Message, Tick
from shoal_provisioner.core.balance import balance
from shoal_provisioner.core.draft import Draft
from shoal_provisioner.core.messages import MachineFailed, MachineGone, MachineStarted
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.state import State


def decide(state: State, message: Message, pools: Mapping[str, Pool]) -> Sequence[Event]:
    """What follows from one message. What is unknown, over or old has no effect."""
    draft = Draft.of(state, message.now)
    match message.body:
        case DemandChanged() as body:
            missing = _missing(body, pools.get(body.pool))
            if missing != state.pool(body.pool).missing_slots:
                draft.emit(DemandNoted(pool=body.pool, missing_slots=missing))
        case NodeAdmitted() | NodeIdle() | NodeBusy() | NodeDraining() | NodeRemoved() as body:
            _node(draft, body)
        case MachineStarted() | MachineFailed() | MachineGone() as body:
            _answered(draft, body)
        case _:
            pass
    # Word of a machine that is not ours changes nothing, and so starts nothing.
    if draft.events or isinstance(message.body, Tick | DemandChanged):
        balance(draft, pools)
    return draft.events


def _missing(body: DemandChanged, pool: Pool | None) -> int:
    """Slots that waiting gangs ask for. A gang spreads over machines, so only the sum counts;
    for one that all machines of the pool together cannot hold, none is started."""
    largest = pool.max_instances * pool.slots_per_instance if pool else 0
    return sum(want.slots * want.count for want in body.wants if want.slots <= largest)


def _node(
    draft: Draft, body: NodeAdmitted | NodeIdle | NodeBusy | NodeDraining | NodeRemoved
) -> None:
    match body:
        case NodeAdmitted():
            if instance := draft.instance(body.instance_id, "instance.joined"):
                draft.emit(
                    InstanceJoined(
                        pool=instance.pool,
                        instance_id=instance.instance_id,
                        node_id=body.node_id,
                        at=draft.now,
                    )
                )
        case NodeIdle() | NodeBusy():
            found = draft.state.instances.get(body.instance_id or "")
            idle = isinstance(body, NodeIdle)
            if (
                found is not None
                and found.state is InstanceState.JOINED
                and (found.idle_since is not None) != idle
            ):
                draft.emit(
                    InstanceIdled(
                        pool=found.pool, instance_id=found.instance_id, idle=idle, at=draft.now
                    )
                )
        case NodeRemoved():
            if instance := draft.instance(body.instance_id, "instance.stopping"):
                draft.stop(instance, f"its node is gone: {body.reason}")
        case NodeDraining():
            # It still runs, but is there for no new work: its replacement starts now.
            found = draft.instance(body.instance_id, "instance.stopping")
            if found is not None:
                draft.stop(found, f"its node drains: {body.reason}")


def _answered(draft: Draft, body: MachineStarted | MachineFailed | MachineGone) -> None:
    known = draft.state.instances.get(body.instance_id)
    if known is None:
        return
    ids = {"pool": known.pool, "instance_id": known.instance_id}
    match body:
        case MachineStarted():
            if draft.instance(body.instance_id, "instance.started"):
                draft.emit(InstanceStarted(**ids, at=draft.now))
        case MachineFailed() | MachineGone():
            # A machine that vanished before its worker joined has failed to start.
            if draft.instance(body.instance_id, "instance.failed"):
                draft.emit(InstanceFailed(**ids, reason=body.reason, at=draft.now))
            elif draft.instance(body.instance_id, "instance.stopped"):
                draft.emit(InstanceStopped(**ids, reason=body.reason, at=draft.now))
