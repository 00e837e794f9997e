"""What runs tell of themselves: how fast they are, what is saved, and when to move on from it."""

from shoal_contract.events import AllocationProgressed, CheckpointSaved, ValidationReported
from shoal_contract.states import AllocationState, StopReason
from shoal_scheduler.core.draft import Draft
from shoal_scheduler.core.models import Allocation, Progress
from shoal_scheduler.core.turn import Turn
from shoal_scheduler.core.yielding import shares_of

NEWS = 0.25
"""A speed is news when it differs by this part from what was said last."""
GROWTH = 1.5
"""An elastic trial is not moved for fewer than so many times its slots."""


def reported(draft: Draft, body: ValidationReported) -> None:
    """A run is so far. Its speed counts from the report that was noted last."""
    allocation = draft.state.allocations.get(body.allocation_id)
    if allocation is None or allocation.state is not AllocationState.GRANTED:
        return
    before = allocation.progress
    if before is None or before.step == 0:
        saved = before.saved_at if before else None
        if body.step > 0:
            _note(
                draft, allocation, Progress(body.at, step=body.step, time=body.time, saved_at=saved)
            )
        return
    seconds, steps = body.at - before.at, body.step - before.step
    if seconds <= 0 or steps <= 0:
        return
    speed, pace = steps / seconds, max(0, body.time - before.time) / seconds
    if before.speed and abs(speed / before.speed - 1) < NEWS:
        return
    _note(
        draft,
        allocation,
        Progress(
            body.at,
            step=body.step,
            time=body.time,
            speed=speed,
            pace=pace,
            saved_at=before.saved_at,
        ),
    )


def saved(draft: Draft, body: CheckpointSaved) -> None:
    """A run's work is safe up to now: the moment to resize it, or to bring it home."""
    allocation = draft.state.allocations.get(body.allocation_id)
    if allocation is None or allocation.state is not AllocationState.GRANTED:
        return
    before = allocation.progress or Progress(draft.now)
    if before.saved_at == draft.now:
        return
    at = before.at
    _note(
        draft,
        allocation,
        Progress(
            at,
            step=before.step,
            time=before.time,
            speed=before.speed,
            pace=before.pace,
            saved_at=draft.now,
        ),
    )
    allocation = draft.state.allocations[body.allocation_id]
    config = draft.state.index.pools.of(allocation.pool)
    if draft.now - allocation.granted_at < config.resize_after:
        return
    if not allocation.resources.preemptible:
        return
    pool = _home(draft, allocation) or (allocation.pool if _grows(draft, allocation) else "")
    if pool:
        draft.release(allocation.allocation_id, StopReason.PREEMPTED, returns_to=pool)


def _home(draft: Draft, allocation: Allocation) -> str:
    """The pool that has room for it, of those that it prefers to where it is, and where nobody
    waits whom it could serve; empty: none."""
    pools = allocation.resources.pools
    for pool in pools[: pools.index(allocation.pool)] if allocation.pool in pools else ():
        turn = Turn(draft, pool, draft.state.index.pools.of(pool))
        if not turn.rivals() and turn.find(allocation, turn.room):
            return pool
    return ""


def _grows(draft: Draft, allocation: Allocation) -> bool:
    """Whether it would get many more slots, none of which anybody waits for."""
    most = allocation.resources.most
    turn = Turn(draft, allocation.pool, draft.state.index.pools.of(allocation.pool))
    if allocation.slots >= most or turn.rivals():
        return False
    room = turn.room.fork()
    room.give(shares_of(draft.state, allocation))
    more = turn.allowance(allocation)
    size = int(min(most, allocation.slots + more))
    while size > allocation.slots and not turn.find(allocation, room, size):
        size -= 1
    return size >= min(most, GROWTH * allocation.slots)


def _note(draft: Draft, allocation: Allocation, progress: Progress) -> None:
    draft.emit(
        AllocationProgressed(
            experiment_id=allocation.experiment_id,
            allocation_id=allocation.allocation_id,
            at=progress.at,
            step=progress.step,
            time=progress.time,
            speed=progress.speed,
            pace=progress.pace,
            saved_at=progress.saved_at,
        )
    )
