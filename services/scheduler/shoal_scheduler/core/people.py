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
    _put(draft, mine.allocation_id, _before(draft, other.number), min(mine.since, other.since))


def _before(draft: Draft, number: float) -> float:
    """A place right before a number that is taken. If none is left between two, who is in the
    last one moves ahead."""
    ahead = [a for a in draft.state.allocations.values() if a.number < number]
    if not ahead:
        return number - 1
    last = max(ahead, key=lambda a: a.number)
    middle = (last.number + number) / 2
    if last.number < middle < number:
        return middle
    place = last.number
    if last.state is not AllocationState.QUEUED:
        return place
    _put(draft, last.allocation_id, _before(draft, place), last.since)
    return place


def _put(draft: Draft, allocation_id: str, number: float, since: float) -> None:
    draft.emit(
        AllocationMoved(
            experiment_id=draft.state.allocations[allocation_id].experiment_id,
            allocation_id=allocation_id,
            number=number,
            since=since,
        )
    )
