"""What people ask of the queue while it runs."""

from shoal_contract.events import (
    AllocationMoved,
    ShareChanged,
    ShareChangeRequested,
    TrialMoveRequested,
)
from shoal_contract.states import AllocationState
from shoal_scheduler.core.draft import Draft


def change_share(draft: Draft, body: ShareChangeRequested) -> None:
    """Another weight, priority or limit, or a hold. What is None stays as it is."""
    now = draft.state.index.share(body.experiment_id)
    changed = ShareChanged(
        experiment_id=body.experiment_id,
        weight=now.weight if body.weight is None else body.weight,
        priority=now.priority if body.priority is None else body.priority,
        max_slots=now.max_slots if body.max_slots is None else body.max_slots,
        hold=now.hold if body.hold is None else body.hold,
    )
    same = (changed.weight, changed.priority, changed.max_slots, changed.hold)
    if same != (now.weight, now.priority, now.max_slots, now.hold):
        draft.emit(changed)


def move(draft: Draft, body: TrialMoveRequested) -> None:
    """Put a waiting trial right ahead of another in age. Priorities and shares decide before it."""
    state = draft.state
    mine, other = state.of_trial(body.trial_id), state.of_trial(body.ahead_of)
    queued = AllocationState.QUEUED
    if mine is None or other is None or (mine.state, other.state) != (queued, queued):
        return
    if mine.number <= other.number:
        return
    before = (a.number for a in state.allocations.values() if a.number < other.number)
    draft.emit(
        AllocationMoved(
            experiment_id=mine.experiment_id,
            allocation_id=mine.allocation_id,
            number=(max(before, default=other.number - 2) + other.number) / 2,
            since=min(mine.since, other.since),
        )
    )
