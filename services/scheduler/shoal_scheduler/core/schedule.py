"""A scheduling pass: what can be granted, and what is missing."""

from collections.abc import Iterable
from itertools import islice

from shoal_contract.events import (
    AllocationQueued,
    AllocationWaiting,
    DemandChanged,
    QuotaChanged,
    ShareChanged,
    Waiting,
)
from shoal_contract.states import AllocationState
from shoal_scheduler.core.demand import missing
from shoal_scheduler.core.draft import Draft
from shoal_scheduler.core.explain import classify, sentence
from shoal_scheduler.core.policies import POLICIES
from shoal_scheduler.core.turn import Turn

TOLD = 100
"""How many are told when a person or a quota holds them back, or no more does."""
ASKED = 16
"""How many of a pool's line are asked which pools they prefer."""
BLOCKED: tuple[Waiting, ...] = ("held", "max_slots", "quota")


def schedule(draft: Draft, everywhere: bool) -> None:
    """Serve the pools in which something changed, or all, then say what is missing in them."""
    index = draft.state.index
    if everywhere:
        draft.pools.update(dict.fromkeys((*index.heads, *index.running)))
    for pool in sorted(draft.pools, key=lambda pool: (_preferred(draft, pool), pool)):
        turn = Turn(draft, pool, index.pools.of(pool), thorough=everywhere)
        POLICIES[turn.config.policy].run(turn)
        for name, (why, until) in turn.why.items():
            _tell(draft, name, why, until)
    for event in list(draft.events):
        match event:
            case AllocationQueued():
                _tell(draft, event.allocation_id, None, None)
            case QuotaChanged():
                _tell_again(draft, draft.state.index.waiting_of(event.workspace))
            case ShareChanged():
                _tell_again(draft, draft.state.index.queued(event.experiment_id))
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


def _tell_again(draft: Draft, names: Iterable[str]) -> None:
    """Say why these wait now, of many the first: what holds them back is another reason."""
    for name in islice(names, TOLD):
        _tell(draft, name, None, None, again=True)


def _tell(
    draft: Draft, name: str, why: Waiting | None, until: float | None, again: bool = False
) -> None:
    """Say why an allocation waits, if that was not said. What nobody looked at, index tells."""
    allocation = draft.state.allocations.get(name)
    if allocation is None or allocation.state is not AllocationState.QUEUED:
        return
    if why is None and allocation.waiting is not None and not again:
        return
    why = classify(draft.state, allocation, why)
    if again and why not in BLOCKED and allocation.waiting not in BLOCKED:
        return
    if why != allocation.waiting:
        draft.emit(
            AllocationWaiting(
                experiment_id=allocation.experiment_id,
                allocation_id=name,
                trial_id=allocation.trial_id,
                why=why,
                reason=sentence(draft.state, allocation, why, until, draft.now),
                expected_at=until,
                number=allocation.number,
                since=allocation.since,
            )
        )
