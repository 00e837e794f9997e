"""What follows from each message: which machines to start and to stop."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shoal_contract.events import (
    DemandChanged,
    DemandNoted,
    Event,
    InstanceFailed,
    InstanceIdled,
    InstanceJoined,
    InstanceRequested,
    InstanceStarted,
    InstanceStopped,
    InstanceStopping,
    NodeAdmitted,
    NodeBusy,
    NodeDraining,
    NodeIdle,
    NodeRemoved,
)
from shoal_contract.states import INSTANCE, InstanceState, allowed
from shoal_decider import Message
from shoal_provisioner.core.evolve import evolve
from shoal_provisioner.core.messages import MachineFailed, MachineGone, MachineStarted
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.state import Instance, State

FIRST_PAUSE = 2.0
"""Seconds without a new start after a failed one; doubles with each failure in a row."""
LONGEST_PAUSE = 60.0


@dataclass(slots=True)
class Draft:
    """Collects events, and applies each to a copy that the state does not see."""

    state: State
    pools: Mapping[str, Pool]
    now: float
    events: list[Event] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        """Decide on an event."""
        self.events.append(event)
        self.state = evolve(self.state, event)

    def instance(self, instance_id: str | None, event_type: str) -> Instance | None:
        """A machine of ours, if the event may happen to it."""
        found = self.state.instances.get(instance_id or "")
        return found if found and allowed(INSTANCE, found.state, event_type) else None

    def stop(self, instance: Instance, reason: str) -> None:
        """A machine is to end."""
        self.emit(
            InstanceStopping(
                pool=instance.pool, instance_id=instance.instance_id, reason=reason, at=self.now
            )
        )

    def balance(self) -> None:
        """Start what is missing and stop what idles, in every pool."""
        for pool in self.pools.values():
            self._expire(pool)
            self._grow(pool)
            self._shrink(pool)

    def _expire(self, pool: Pool) -> None:
        for instance in self.state.of(pool.name):
            waited = self.now - instance.requested_at
            starting = instance.state in (InstanceState.REQUESTED, InstanceState.STARTED)
            if starting and waited > pool.max_starting_period:
                self.stop(instance, f"its worker did not join within {waited:.0f} s")

    def _grow(self, pool: Pool) -> None:
        history = self.state.pool(pool.name)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (history.failures - 1))
        if history.failures and self.now < history.failed_at + pause:
            return
        there = [i for i in self.state.of(pool.name) if i.counts]
        coming = sum(i.slots for i in there if i.state is not InstanceState.JOINED)
        missing = max(0, history.missing_slots - coming)
        wanted = len(there) + math.ceil(missing / pool.slots_per_instance)
        wanted = min(max(wanted, pool.min_instances), pool.max_instances)
        for _ in range(wanted - len(there)):
            number = self.state.pool(pool.name).made
            reason = f"{missing} slots are missing" if missing else "the pool's minimum"
            self.emit(
                InstanceRequested(
                    pool=pool.name,
                    instance_id=f"{pool.name}-{number}",
                    slots=pool.slots_per_instance,
                    reason=reason,
                    at=self.now,
                )
            )

    def _shrink(self, pool: Pool) -> None:
        if self.state.pool(pool.name).missing_slots:
            return
        there = [i for i in self.state.of(pool.name) if i.counts]
        spare = len(there) - pool.min_instances
        for instance in there:
            if spare <= 0:
                return
            idle = instance.idle_since
            if idle is not None and self.now - idle > pool.max_idle_period:
                self.stop(instance, f"idle for {self.now - idle:.0f} s")
                spare -= 1


def decide(state: State, message: Message, pools: Mapping[str, Pool]) -> Sequence[Event]:
    """What follows from one message. What is unknown, over or old has no effect."""
    draft = Draft(state.model_copy(deep=True), pools, message.now)
    match message.body:
        case DemandChanged() as body:
            missing = sum(want.slots * want.count for want in body.wants)
            if missing != state.pool(body.pool).missing_slots:
                draft.emit(DemandNoted(pool=body.pool, missing_slots=missing))
        case NodeAdmitted() | NodeIdle() | NodeBusy() | NodeDraining() | NodeRemoved() as body:
            _node(draft, body)
        case MachineStarted() | MachineFailed() | MachineGone() as body:
            _answered(draft, body)
        case _:
            pass
    draft.balance()
    return draft.events


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
    ids = {"pool": body.pool, "instance_id": body.instance_id}
    match body:
        case MachineStarted():
            if draft.instance(body.instance_id, "instance.started"):
                draft.emit(InstanceStarted(**ids, at=draft.now))
        case MachineFailed() | MachineGone():
            if draft.instance(body.instance_id, "instance.stopped") and isinstance(
                body, MachineGone
            ):
                draft.emit(InstanceStopped(**ids, reason=body.reason, at=draft.now))
            elif draft.instance(body.instance_id, "instance.failed"):
                draft.emit(InstanceFailed(**ids, reason=body.reason, at=draft.now))
