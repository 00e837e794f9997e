"""What follows from each message."""

from collections.abc import Sequence

from shoal_contract.events import (
    AllocationQueued,
    Event,
    ExtendOrdered,
    NodeAdmitted,
    NodeDraining,
    NodeIdle,
    NodeJoined,
    NodeLeft,
    NodeNoticed,
    RunExited,
    TrialCancelled,
    TrialCompleted,
    TrialExtended,
    TrialFailed,
    TrialPaused,
    TrialRequested,
    TrialStopped,
)
from shoal_contract.ids import allocation_id
from shoal_contract.states import AllocationState, NodeState, Outcome, StopReason
from shoal_decider import Message
from shoal_scheduler.core.draft import GRACE, Draft
from shoal_scheduler.core.messages import NodeSilent
from shoal_scheduler.core.state import State


def decide(state: State, message: Message) -> Sequence[Event]:
    """What follows from one message. What is unknown, over or old has no effect."""
    match message.body:
        case (
            TrialRequested() | TrialExtended() | TrialPaused() | TrialCompleted() | TrialStopped()
            | TrialCancelled() | TrialFailed()
        ) as body:  # fmt: skip
            draft = _trial(state, message, body)
        case NodeJoined() | NodeNoticed() | NodeLeft() | NodeSilent() as body:
            draft = _node(state, message, body)
        case RunExited() as body:
            found = state.of_run(body.allocation_id, body.run_id)
            if found is None:
                return []
            draft = Draft.of(state, message.now)
            allocation = draft.state.allocations[body.allocation_id]
            draft.settle(allocation, body.run_id, _outcome(state, body), body.reason)
        case _:
            return []
    if draft is None:
        return []
    draft.schedule()
    return draft.events


def _trial(state: State, message: Message, body: Event) -> Draft | None:
    if isinstance(body, TrialRequested):
        if body.attempt <= state.attempts.get(body.trial_id, 0):
            return None
        draft = Draft.of(state, message.now)
        draft.emit(
            AllocationQueued(
                experiment_id=body.experiment_id,
                allocation_id=allocation_id(body.trial_id, body.attempt),
                trial_id=body.trial_id,
                task=body.task,
                resources=body.resources,
            )
        )
        return draft
    allocation = state.of_trial(getattr(body, "trial_id", ""))
    if allocation is None:
        return None
    if isinstance(body, TrialExtended):
        if body.target <= allocation.task.target or allocation.state is AllocationState.RELEASING:
            return None
        draft = Draft.of(state, message.now)
        for run_name, run in allocation.runs.items():
            draft.emit(
                ExtendOrdered(
                    node_id=run.placement.node_id,
                    incarnation=run.placement.incarnation,
                    allocation_id=allocation.allocation_id,
                    run_id=run_name,
                    target=body.target,
                )
            )
        return draft
    if allocation.state is AllocationState.RELEASING:
        return None
    draft = Draft.of(state, message.now)
    reason = StopReason.PAUSED if isinstance(body, TrialPaused) else StopReason.CLOSED
    draft.release(draft.state.allocations[allocation.allocation_id], reason)
    return draft


def _node(
    state: State, message: Message, body: NodeJoined | NodeNoticed | NodeLeft | NodeSilent
) -> Draft | None:
    node = state.nodes.get(body.node_id)
    same = node is not None and node.incarnation == body.incarnation
    draft = Draft.of(state, message.now)
    if isinstance(body, NodeJoined):
        if same:
            return None
        if node is not None:
            draft.remove(draft.state.nodes[body.node_id], "it came back as a new incarnation")
        draft.emit(NodeAdmitted(**body.model_dump()))
        draft.emit(NodeIdle(node_id=body.node_id, instance_id=body.instance_id))
        return draft
    if node is None or not same:
        return None
    if isinstance(body, NodeNoticed):
        if node.state is NodeState.DRAINING:
            return None
        draft.emit(
            NodeDraining(
                node_id=node.node_id,
                incarnation=node.incarnation,
                instance_id=node.instance_id,
                reason=body.reason,
            )
        )
        for held in dict.fromkeys(node.held.values()):
            draft.release(
                draft.state.allocations[held], StopReason.PREEMPTED, min(GRACE, body.seconds)
            )
        return draft
    why = body.reason if isinstance(body, NodeLeft) else f"silent for {body.seconds:g} s"
    draft.remove(draft.state.nodes[body.node_id], why)
    return draft


def _outcome(state: State, body: RunExited) -> Outcome:
    """How a run ended, as its gang sees it: told to leave because a peer broke is no fault."""
    node = state.nodes.get(body.node_id)
    if body.outcome is Outcome.LOST and node is not None and node.state is NodeState.DRAINING:
        return Outcome.PREEMPTED
    return body.outcome
