"""The effect of each event on the state."""

from dataclasses import replace
from typing import TypeVar
from zlib import crc32

from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    AllocationMoved,
    AllocationProgressed,
    AllocationQueued,
    AllocationReleasing,
    AllocationWaiting,
    AllocationWidened,
    DemandChanged,
    Event,
    ExtendOrdered,
    NodeAdmitted,
    NodeBusy,
    NodeDraining,
    NodeIdle,
    NodeRemoved,
    QuotaChanged,
    RunSettled,
    ShareChanged,
    SlotSetAside,
    StartOrdered,
    StopOrdered,
)
from shoal_contract.ids import run_id
from shoal_contract.states import AllocationState, NodeState, Outcome
from shoal_scheduler.core.models import (
    Allocation,
    Month,
    Node,
    Past,
    Progress,
    Return,
    Run,
    Share,
)
from shoal_scheduler.core.months import month_of
from shoal_scheduler.core.speeds import Speeds, learn, program
from shoal_scheduler.core.state import REMEMBERED, State
from shoal_scheduler.core.tables import change

V = TypeVar("V")
AWAY = 60.0
"""Seconds for which a place is kept for a trial that was resized, until it is wanted again."""


def evolve(state: State, event: Event) -> State:
    """The state after an event; `state` is changed in place."""
    match event:
        case StartOrdered() | NodeBusy() | NodeIdle():  # word to others
            pass
        case NodeAdmitted() | NodeDraining() | NodeRemoved() | SlotSetAside():
            _node(state, event)
        case AllocationQueued():
            _queue(state, event)
        case AllocationGranted():
            _grant(state, event)
        case AllocationReleasing():
            allocation = change(state.allocations, event.allocation_id)
            allocation.state, allocation.stop_reason = AllocationState.RELEASING, event.reason
            if event.returns_to:
                back = Return(pool=event.returns_to, resources=allocation.resources)
                state.returns[allocation.trial_id] = back
            state.index.leave(allocation)
            for run in allocation.open_runs().values():
                if (node := state.nodes.get(run.placement.node_id)) is not None:
                    state.index.see(node)
        case RunSettled():
            _settle(state, event)
        case AllocationEnded():
            _end(state, event)
        case StopOrdered():
            allocation = change(state.allocations, event.allocation_id)
            allocation.grace = event.grace
            if event.at > allocation.told_at:
                allocation.told, allocation.told_at = allocation.told + 1, event.at
        case ExtendOrdered():
            allocation = change(state.allocations, event.allocation_id)
            allocation.task = allocation.task.model_copy(update={"target": event.target})
        case AllocationWaiting():
            allocation = change(state.allocations, event.allocation_id)
            allocation.waiting, allocation.expected_at = event.why, event.expected_at
            allocation.said = crc32(event.reason.encode())
        case AllocationWidened() | AllocationMoved():
            _shift(state, event)
        case AllocationProgressed():
            _progress(state, event)
        case ShareChanged():
            _share(state, event)
        case QuotaChanged():
            month = _month(state, event.workspace, event.month)
            month.used_up = event.used_up
            month.said_slot_hours, month.said_money = event.slot_hours, event.money
            state.index.reshow(("w", event.workspace))
        case DemandChanged():
            state.demand[event.pool] = event.wants
        case _:
            pass
    return state


def _node(state: State, event: NodeAdmitted | NodeDraining | NodeRemoved | SlotSetAside) -> None:
    match event:
        case NodeAdmitted():
            state.counter += 1
            node = Node(
                node_id=event.node_id,
                incarnation=event.incarnation,
                pool=event.pool,
                host=event.host,
                slots=event.slots,
                ports=event.ports,
                instance_id=event.instance_id,
                labels=event.labels,
                number=state.counter,
            )
            state.nodes[event.node_id] = node
            state.index.see(node)
        case NodeDraining():
            node = change(state.nodes, event.node_id)
            node.state = NodeState.DRAINING
            state.index.see(node)
        case NodeRemoved():
            state.index.forget(state.nodes.pop(event.node_id))
            _remember(state.gone, f"{event.node_id}/{event.incarnation}", event.reason)
        case SlotSetAside():
            node = change(state.nodes, event.node_id)
            node.aside[event.slot] = event.reason
            state.index.see(node)


def _queue(state: State, event: AllocationQueued) -> None:
    before = state.allocations.get(event.allocation_id)
    if before is not None:  # it keeps its place: only its task is newer
        allocation = change(state.allocations, event.allocation_id)
        allocation.task = event.task
        return
    past = state.past.get(event.trial_id)
    state.counter += 1
    kept = past is not None and past.kept
    back, pools = state.returns.pop(event.trial_id, None), event.resources.pools
    wide = past.pools if past is not None and kept else 1
    if back is not None and back.pool in pools:
        wide = pools.index(back.pool) + 1
    allocation = Allocation(
        allocation_id=event.allocation_id,
        experiment_id=event.experiment_id,
        trial_id=event.trial_id,
        task=event.task,
        resources=event.resources,
        program=program(event.resources, event.task),
        number=past.number if past is not None and kept else state.counter,
        since=past.since if past is not None and kept else event.at,
        queued_at=event.at,
        pools=pools[:wide],
        resized=back is not None,
    )
    state.allocations[event.allocation_id] = allocation
    state.current[event.trial_id] = event.allocation_id
    state.index.enqueue(allocation)


def _grant(state: State, event: AllocationGranted) -> None:
    allocation = change(state.allocations, event.allocation_id)
    state.index.dequeue(allocation)
    allocation.state, allocation.granted_at = AllocationState.GRANTED, event.at
    allocation.rendezvous, allocation.waiting = event.rendezvous, None
    allocation.price = event.price
    for rank, placement in enumerate(event.placements):
        allocation.runs[run_id(event.allocation_id, rank)] = Run(placement=placement)
        allocation.slots += len(placement.slots)
        node = change(state.nodes, placement.node_id)
        for number in placement.slots:
            node.held[number] = event.allocation_id
        if rank == 0:
            node.port_uses += 1
            allocation.pool, allocation.model = node.pool, node.model_of(placement.slots[0])
        state.index.see(node)
    state.index.hold(allocation)


def _settle(state: State, event: RunSettled) -> None:
    run = change(state.allocations, event.allocation_id).runs[event.run_id]
    run.outcome, run.reason, run.last_time = event.outcome, event.reason, event.last_time
    run.failed_at, run.echo = event.failed_at, event.echo
    if event.node_id not in state.nodes:
        return
    node = state.nodes[event.node_id]
    if node.incarnation != run.placement.incarnation:
        return
    node = change(state.nodes, event.node_id)
    allocation = state.allocations[event.allocation_id]
    failed = {Outcome.FAILED: allocation.experiment_id, Outcome.LOST: allocation.trial_id}
    for number in run.placement.slots:
        node.held.pop(number, None)
        if event.outcome in failed and not event.echo:
            strikes = dict.fromkeys([*node.strikes.get(number, ()), failed[event.outcome]])
            node.strikes[number] = list(strikes)
        elif event.outcome is Outcome.COMPLETED:
            node.strikes.pop(number, None)
    state.index.see(node)


def _end(state: State, event: AllocationEnded) -> None:
    allocation = state.allocations[event.allocation_id]
    if allocation.runs:
        state.index.release(allocation)
        end = allocation.granted_at + event.seconds
        _month(state, allocation.resources.workspace, month_of(end)).add(allocation, end)
    else:
        state.index.dequeue(allocation)
    del state.allocations[event.allocation_id]
    back = state.returns.pop(event.trial_id, None)
    again = event.outcome in (Outcome.PREEMPTED, Outcome.LOST)
    if back is not None and again:
        end = allocation.granted_at + event.seconds
        state.returns[event.trial_id] = replace(back, until=end + AWAY)
    past = state.past.get(event.trial_id)
    gain = 1.0
    if allocation.runs:
        speeds = Speeds(state.speeds, state.ratios, state.index.room, allocation.pool)
        gain = speeds.gains(allocation.program).get(allocation.model, 1.0)
    if past is None or past.attempt <= event.attempt:
        ended = Past(
            attempt=event.attempt,
            number=allocation.number,
            since=allocation.since,
            kept=again,
            pools=len(allocation.pools),
            used=(past.used if past else 0) + event.slots * event.seconds * gain,
        )
        _remember(state.past, event.trial_id, ended)
    if state.current.get(event.trial_id) == event.allocation_id:
        del state.current[event.trial_id]
    following = state.of_trial(event.trial_id)
    if allocation.runs and following is not None and not following.runs:
        state.index.enqueue(following)


def _month(state: State, workspace: str, month: str) -> Month:
    """What a workspace used in a month, to be changed in place; of an older one nothing is kept."""
    before = state.months.get(workspace)
    if before is None or before.month < month:
        said = before or Month(month=month)
        state.months[workspace] = replace(said, month=month, slot_seconds=0, money=0)
    return change(state.months, workspace)


def _shift(state: State, event: AllocationWidened | AllocationMoved) -> None:
    allocation = change(state.allocations, event.allocation_id)
    state.index.dequeue(allocation)
    match event:
        case AllocationWidened():
            allocation.pools = [*allocation.pools, event.pool]
        case AllocationMoved():
            allocation.number, allocation.since = event.number, event.since
    state.index.enqueue(allocation)


def _progress(state: State, event: AllocationProgressed) -> None:
    allocation = change(state.allocations, event.allocation_id)
    allocation.progress = Progress(
        at=event.at,
        step=event.step,
        time=event.time,
        speed=event.speed,
        pace=event.pace,
        saved_at=event.saved_at,
    )
    if event.step > 0 and event.time > 0:
        _remember(state.strides, allocation.program, event.time / event.step)
    if event.speed is not None and allocation.slots:
        known = dict(state.speeds.get(allocation.program, {}))
        known[allocation.model] = event.speed / allocation.slots
        _remember(state.speeds, allocation.program, known)
        learn(state.ratios, known, allocation.model)


def _share(state: State, event: ShareChanged) -> None:
    names = dict.fromkeys(state.index.queued(event.experiment_id))
    waiting = [state.allocations[name] for name in names]
    for allocation in waiting:
        state.index.dequeue(allocation)
    holding = [
        allocation
        for allocation in map(state.allocations.__getitem__, state.index.busy.values())
        if allocation.experiment_id == event.experiment_id
    ]
    for allocation in holding:
        state.index.unrank(allocation)
    changed = Share(
        weight=event.weight, priority=event.priority, max_slots=event.max_slots, hold=event.hold
    )
    _remember(state.shares, event.experiment_id, changed)
    for allocation in holding:
        state.index.rank(allocation)
    for allocation in waiting:
        state.index.enqueue(allocation)


def _remember(table: dict[str, V], key: str, value: V) -> None:
    """Keep a value as the newest; the oldest beyond `REMEMBERED` is forgotten."""
    table.pop(key, None)
    table[key] = value
    if len(table) > REMEMBERED:
        del table[next(iter(table))]
