"""What follows from each message."""

from shoal_contract.events import (
    AllocationQueued,
    AllocationWidened,
    CheckpointSaved,
    ExtendOrdered,
    NodeAdmitted,
    NodeDraining,
    NodeIdle,
    NodeJoined,
    NodeLeft,
    NodeNoticed,
    PoolDrainRequested,
    RunExited,
    ShareChangeRequested,
    TrialCancelled,
    TrialCompleted,
    TrialExtended,
    TrialFailed,
    TrialMoveRequested,
    TrialPaused,
    TrialRequested,
    TrialStopped,
    ValidationReported,
)
from shoal_contract.ids import allocation_id
from shoal_contract.states import AllocationState, NodeState, Outcome, StopReason
from shoal_decider import Decided, Message, Tick
from shoal_scheduler.core import people, progress, quotas
from shoal_scheduler.core.draft import GRACE, Draft
from shoal_scheduler.core.messages import NodeSilent
from shoal_scheduler.core.models import Allocation, Node
from shoal_scheduler.core.schedule import schedule
from shoal_scheduler.core.state import State
from shoal_scheduler.core.turn import MOST

MOST_WIDENED = 100
"""Allocations that one Tick lets into a further pool."""
Ended = TrialPaused | TrialCompleted | TrialStopped | TrialCancelled | TrialFailed


def decide(state: State, message: Message) -> Decided[State]:
    """What follows from one message. What is unknown, over or old has no effect.

    What is freed comes first, then what is granted, then what is missing.
    """
    draft = Draft.of(state, message.now)
    match message.body:
        case TrialRequested() as body:
            _requested(draft, body)
        case TrialExtended() as body:
            _extended(draft, body)
        case (
            TrialPaused()
            | TrialCompleted()
            | TrialStopped()
            | TrialCancelled()
            | (TrialFailed()) as body
        ):
            _ended(draft, body)
        case NodeJoined() as body:
            _joined(draft, body)
        case NodeNoticed() as body:
            _noticed(draft, body)
        case NodeLeft() | NodeSilent() as body:
            node = state.nodes.get(body.node_id)
            if node is not None and node.incarnation == body.incarnation:
                why = (
                    body.reason
                    if isinstance(body, NodeLeft)
                    else f"not heard for {body.seconds:g} s"
                )
                draft.remove(node, why)
        case RunExited() as body:
            found = state.of_run(body.allocation_id, body.run_id)
            if found is not None and found[1].placement.node_id == body.node_id:
                draft.settle(body.allocation_id, body.run_id, body.outcome, body.reason, body)
        case ValidationReported() as body:
            progress.reported(draft, body)
        case CheckpointSaved() as body:
            progress.saved(draft, body)
        case ShareChangeRequested() as body:
            people.change_share(draft, body)
        case TrialMoveRequested() as body:
            people.move(draft, body)
        case PoolDrainRequested(node_id=str() as node_id, pool=pool):
            asked = state.nodes.get(node_id)
            if asked is not None and asked.pool == pool and asked.state is NodeState.READY:
                _drain(draft, asked, "a person drains it", GRACE)
        case Tick():
            _insist(draft)
            _widen(draft)
            quotas.look(draft, state)
        case _:
            pass
    everywhere = isinstance(message.body, Tick | ShareChangeRequested)
    if draft.events or everywhere:
        schedule(draft, everywhere)
    return Decided(draft.events, lambda: draft.state.settle(state))


def _requested(draft: Draft, body: TrialRequested) -> None:
    before, past = draft.state.of_trial(body.trial_id), draft.state.past.get(body.trial_id)
    newest = max(before.task.attempt if before else 0, past.attempt if past else 0)
    if body.attempt <= newest:
        return
    if before is not None:
        draft.release(before.allocation_id, StopReason.PAUSED)
    name, task = allocation_id(body.trial_id, body.attempt), body.task
    if task.attempt != body.attempt:
        task = task.model_copy(update={"attempt": body.attempt})
    draft.emit(
        AllocationQueued(
            experiment_id=body.experiment_id,
            allocation_id=name,
            trial_id=body.trial_id,
            task=task,
            resources=body.resources,
            at=draft.now,
        )
    )
    pool = next((p for p in body.resources.pools if not _is_name(p)), None)
    if pool is not None:
        why = f"{pool!r} is no name of a resource pool: use letters, digits, '-' and '_'"
        draft.end(draft.state.allocations[name], Outcome.FAILED, why)


def _insist(draft: Draft) -> None:
    """See to it that those leave that were told to."""
    for name in sorted(draft.state.index.going):
        if len(draft.events) >= MOST:
            return
        if (allocation := draft.state.allocations.get(name)) is not None:
            draft.insist(allocation)


def _widen(draft: Draft) -> None:
    """Let those who waited for `burst_after` be served by their next pool as well."""
    for _ in range(MOST_WIDENED):
        due = draft.state.index.bursts.first()
        if due is None or due.rank > draft.now:
            return
        allocation = draft.state.allocations[due.allocation_id]
        draft.emit(
            AllocationWidened(
                experiment_id=allocation.experiment_id,
                allocation_id=allocation.allocation_id,
                pool=allocation.resources.pools[len(allocation.pools)],
            )
        )


def _is_name(pool: str) -> bool:
    plain = pool.replace("-", "").replace("_", "")
    return pool[:1].isalnum() and pool.isascii() and plain.isalnum() and len(pool) <= 96


def _extended(draft: Draft, body: TrialExtended) -> None:
    allocation = draft.state.of_trial(body.trial_id)
    if allocation is None or body.target <= allocation.task.target:
        return
    if allocation.state is AllocationState.QUEUED:
        _retarget(draft, allocation, body.target)
    elif allocation.state is AllocationState.GRANTED:
        for run_name, run in allocation.open_runs().items():
            draft.emit(
                ExtendOrdered(
                    node_id=run.placement.node_id,
                    incarnation=run.placement.incarnation,
                    allocation_id=allocation.allocation_id,
                    run_id=run_name,
                    target=body.target,
                )
            )


def _retarget(draft: Draft, allocation: Allocation, target: int) -> None:
    """Queue it again in its own place, with the newer target for its order to start."""
    draft.emit(
        AllocationQueued(
            experiment_id=allocation.experiment_id,
            allocation_id=allocation.allocation_id,
            trial_id=allocation.trial_id,
            task=allocation.task.model_copy(update={"target": target}),
            resources=allocation.resources,
            at=allocation.queued_at,
        )
    )


def _ended(draft: Draft, body: Ended) -> None:
    reason = StopReason.PAUSED if isinstance(body, TrialPaused) else StopReason.CLOSED
    allocation = draft.state.of_trial(body.trial_id)
    if allocation is not None:
        at_once = isinstance(body, TrialCancelled) and body.at_once
        draft.release(allocation.allocation_id, reason, 0.0 if at_once else GRACE)


def _joined(draft: Draft, body: NodeJoined) -> None:
    node = draft.state.nodes.get(body.node_id)
    if f"{body.node_id}/{body.incarnation}" in draft.state.gone:
        return
    if node is not None:
        if node.incarnation == body.incarnation:
            return
        draft.remove(node, "it came back as a new incarnation")
    draft.emit(
        NodeAdmitted(
            node_id=body.node_id,
            incarnation=body.incarnation,
            pool=body.pool,
            host=body.host,
            slots=list({slot.number: slot for slot in body.slots}.values()),
            ports=body.ports,
            instance_id=body.instance_id,
            labels=body.labels,
        )
    )
    draft.emit(NodeIdle(node_id=body.node_id, instance_id=body.instance_id))


def _noticed(draft: Draft, body: NodeNoticed) -> None:
    node = draft.state.nodes.get(body.node_id)
    if node is not None and node.incarnation == body.incarnation:
        _drain(draft, node, body.reason, max(0.0, min(GRACE, body.seconds)))


def _drain(draft: Draft, node: Node, reason: str, grace: float) -> None:
    """Place nothing more on a node, and let its runs checkpoint and leave."""
    if node.state is NodeState.DRAINING:
        return
    draft.emit(
        NodeDraining(
            node_id=node.node_id,
            incarnation=node.incarnation,
            instance_id=node.instance_id,
            reason=reason,
        )
    )
    for held in dict.fromkeys(node.held.values()):
        draft.release(held, StopReason.PREEMPTED, grace)
