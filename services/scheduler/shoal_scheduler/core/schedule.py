"""A scheduling pass: what can be granted, and what is missing."""

from collections.abc import Iterable
from itertools import islice
from zlib import crc32

from shoal_contract.events import (
    AllocationQueued,
    AllocationWaiting,
    DemandChanged,
    NodeAdmitted,
    QuotaChanged,
    ShareChanged,
    Waiting,
)
from shoal_contract.states import AllocationState
from shoal_scheduler.core.demand import missing
from shoal_scheduler.core.draft import Draft
from shoal_scheduler.core.explain import classify, sentence
from shoal_scheduler.core.forecast import Start, forecast, line_up
from shoal_scheduler.core.models import Allocation
from shoal_scheduler.core.policies import POLICIES
from shoal_scheduler.core.turn import Turn

TOLD = 100
"""How many are told when a person, a quota or the lack of machines holds them back, or no more."""
ASKED = 16
"""How many of a pool's line are asked which pools they prefer."""
BLOCKED: tuple[Waiting, ...] = ("held", "max_slots", "quota", "machines")
HOPES: tuple[Waiting, ...] = ("behind", "room", "reserved", "leaving")
"""What a policy may find: of several pools the last of these counts."""
AFRESH = 10.0
"""Seconds after which the first in line are told anew."""
LATER = 0.1
"""Another start is news if it differs by so much of the time until then, at least by `AFRESH`."""


def schedule(draft: Draft, everywhere: bool) -> None:
    """Serve the pools in which something changed, or all, then say what is missing in them."""
    index = draft.state.index
    if everywhere:
        draft.pools.update(dict.fromkeys((*index.heads, *index.running)))
    found: dict[str, Waiting] = {}
    starts: dict[str, Start | None] = {}
    for pool in sorted(draft.pools, key=lambda pool: (_preferred(draft, pool), pool)):
        turn = Turn(draft, pool, index.pools.of(pool), thorough=everywhere)
        POLICIES[turn.config.policy].run(turn)
        for name, why in turn.why.items():
            found[name] = max(found.get(name, why), why, key=HOPES.index)
        if everywhere and draft.now % AFRESH < 1:
            _foretell(turn, starts)
    for name, start in starts.items():
        _tell_afresh(draft, name, found.get(name), start)
    for name, why in found.items():
        _tell(draft, name, why)
    for event in list(draft.events):
        match event:
            case AllocationQueued():
                _tell(draft, event.allocation_id, None)
            case QuotaChanged():
                _tell_blocked(draft, draft.state.index.waiting_of(event.workspace))
            case ShareChanged():
                _tell_blocked(draft, draft.state.index.queued(event.experiment_id))
            case NodeAdmitted():
                line = line_up(draft.state.index, event.pool, TOLD)
                _tell_blocked(draft, (entry.allocation_id for entry in line))
    for pool in sorted({*draft.pools, *draft.state.index.share_out()}):
        wants = missing(draft.state, pool)
        if wants != draft.state.demand.get(pool, []):
            draft.emit(DemandChanged(pool=pool, wants=wants))


def _preferred(draft: Draft, pool: str) -> int:
    """How far down a pool is in what the first in its line prefer: it is served after those that
    are further up, so that who may start in either starts at home."""
    line = draft.state.index.heads.get(pool)
    if line is None or len(draft.pools) < 2:
        return 0
    first = (draft.state.allocations[head.allocation_id] for head in line.some(0, ASKED))
    return max((allocation.pools.index(pool) for allocation in first), default=0)


def _tell_blocked(draft: Draft, names: Iterable[str]) -> None:
    """Say why these wait now, of many the first: what holds them back is another reason."""
    for name in islice(names, TOLD):
        allocation = draft.state.allocations.get(name)
        if allocation is not None and allocation.state is AllocationState.QUEUED:
            why = classify(draft.state, allocation, None)
            if why in BLOCKED or allocation.waiting in BLOCKED:
                _say(draft, allocation, why)


def _foretell(turn: Turn, starts: dict[str, Start | None]) -> None:
    """Add when the first in line are to start, for those who wait in several pools the earliest."""
    most = turn.state.index.pools.told
    line = line_up(turn.state.index, turn.pool, most)
    here = forecast(turn, most) if line else {}
    for name in (entry.allocation_id for entry in line):
        known = [start for start in (starts.get(name), here.get(name)) if start is not None]
        starts[name] = min(known, default=None)


def _tell_afresh(draft: Draft, name: str, found: Waiting | None, start: Start | None) -> None:
    """Say anew why one of the first in line waits and when it is to start, where that is news."""
    allocation = draft.state.allocations.get(name)
    if allocation is not None and allocation.state is AllocationState.QUEUED:
        why = classify(draft.state, allocation, found or allocation.waiting)
        _say(draft, allocation, why, start, afresh=True)


def _tell(draft: Draft, name: str, found: Waiting | None) -> None:
    """Say why an allocation waits, if that was not said. What nobody looked at, index tells."""
    allocation = draft.state.allocations.get(name)
    if allocation is None or allocation.state is not AllocationState.QUEUED:
        return
    if found is not None or allocation.waiting is None:
        _say(draft, allocation, classify(draft.state, allocation, found))


def _say(
    draft: Draft,
    allocation: Allocation,
    why: Waiting,
    start: Start | None = None,
    afresh: bool = False,
) -> None:
    again = why == allocation.waiting
    if again and not afresh:
        return
    reason = sentence(draft.state, allocation, why, start)
    at = start.at if start else None
    if again and crc32(reason.encode()) == allocation.said and not _other(draft, allocation, at):
        return
    config = draft.state.index.pools.of(allocation.pools[0])
    draft.emit(
        AllocationWaiting(
            experiment_id=allocation.experiment_id,
            allocation_id=allocation.allocation_id,
            trial_id=allocation.trial_id,
            why=why,
            reason=reason,
            again=again,
            expected_at=at,
            number=allocation.number,
            since=allocation.since,
            pools=allocation.pools,
            ageing=config.ageing if config.policy == "priority" else None,
        )
    )


def _other(draft: Draft, allocation: Allocation, at: float | None) -> bool:
    """Whether the time at which it is to start is news."""
    said = allocation.expected_at
    if at is None or said is None:
        return at is not said
    return abs(at - said) > max(AFRESH, LATER * (said - draft.now))
