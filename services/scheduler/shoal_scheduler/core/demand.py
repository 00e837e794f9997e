"""What a pool lacks: gangs that may start and find no place, for which machines may be started."""

from shoal_contract.events import Want
from shoal_scheduler.core.draft import GRACE
from shoal_scheduler.core.placement import is_of
from shoal_scheduler.core.state import State
from shoal_scheduler.core.yielding import shares_of


def missing(state: State, pool: str) -> list[Want]:
    """The gangs that a pool lacks slots for, by size and model.

    Slots that are being left do not count as missing: who gets them needs no machine. Should others
    get them, or their node go, that shows when they are free. But those of a gang that may take its
    time to finish do.
    """
    index = state.index
    wanted = index.wanted.pools.get(pool)
    if not wanted:
        return []
    left = {
        model: index.later.free(pool, model) - index.room.free(pool, model)
        for model in index.later.models(pool)
    }
    for entry in index.leaving.get(pool, ()):
        allocation = state.allocations[entry.allocation_id]
        if allocation.grace > GRACE:
            for _, model, count in shares_of(state, allocation):
                left[model] -= count
    lacking: list[Want] = []
    for (slots, kind, memory), count in sorted(wanted.items(), key=_choosy_first):
        for model in left:
            if (not kind or is_of(kind, model)) and _has(state, pool, model, memory):
                served = min(count, left[model] // slots)
                count -= served
                left[model] -= served * slots
        if count:
            lacking.append(
                Want(slots=slots, slot_type=kind or None, slot_memory=memory or None, count=count)
            )
    return sorted(lacking, key=lambda want: (want.slots, want.wish))


def _choosy_first(want: tuple[tuple[int, str, int], int]) -> tuple[object, ...]:
    slots, kind, memory = want[0]
    return not kind, -memory, slots, kind


def _has(state: State, pool: str, model: str, memory: int) -> bool:
    """Whether slots of a model have so many GB: those of the node that will have most free are
    looked at."""
    spot = next(state.index.later.largest(pool, model), None) if memory else None
    if spot is None:
        return not memory
    slots = state.nodes[spot.node_id].slots
    return all(slot.gigabytes >= memory for slot in slots if slot.model == model)
