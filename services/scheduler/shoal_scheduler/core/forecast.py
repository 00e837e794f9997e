"""When those who wait are to start, as far as that can be told, and whose end lets them."""

from heapq import heapify, heappop, heappush
from itertools import islice
from typing import NamedTuple

from shoal_contract.states import AllocationState
from shoal_scheduler.core.batches import Entry
from shoal_scheduler.core.ends import Ends
from shoal_scheduler.core.index import Index
from shoal_scheduler.core.policies.throughput import in_order
from shoal_scheduler.core.room import Share
from shoal_scheduler.core.turn import Turn
from shoal_scheduler.core.yielding import shares_of

LOOK = 256
"""How many that run are asked when they end."""


class Start(NamedTuple):
    """When one that waits is to start."""

    at: float
    """Unix seconds."""
    after: tuple[str, ...]
    """The trials whose ends make the room that it lacks, the last to end first."""


def line_up(index: Index, pool: str, most: int) -> list[Entry]:
    """The first of a pool that may start, in the order in which they are served. In pools of
    `fair_share` each that starts puts the next of its owner further back."""
    found: list[Entry] = []
    for head in islice(index.heads.get(pool, ()), most):
        waiting = islice(index.queues[head.batch], min(head.ready, most))
        found += [index.ranked(head.batch, e, n * head.batch.slots) for n, e in enumerate(waiting)]
    return sorted(found)[:most]


def forecast(turn: Turn, most: int) -> dict[str, Start]:
    """When the first of a pool start, if each takes its place in turn as soon as those that run
    have ended as predicted. It ends at the first of which nobody can tell. In pools of
    `throughput` the order is that of the moment."""
    state, predicted = turn.state, Ends(turn)
    room = state.index.later.fork()
    ends: list[tuple[float, str, list[Share]]] = []
    for other in turn.running(0, LOOK):
        end = predicted.of(other)
        if end is not None and other.state is AllocationState.GRANTED:
            ends.append((max(turn.now, end), other.trial_id, shares_of(state, other)))
    heapify(ends)
    found: dict[str, Start] = {}
    at = turn.now
    line = line_up(state.index, turn.pool, most)
    for entry in in_order(turn, line) if turn.config.policy == "throughput" else line:
        allocation = state.allocations[entry.allocation_id]
        after: list[str] = []
        while not (shares := turn.find(allocation, room)):
            if not ends:
                return found
            at, name, freed = heappop(ends)
            room.give(freed)
            after.insert(0, name)
        room.take(shares)
        found[entry.allocation_id] = Start(at, tuple(after))
        models = {model: count for _, model, count in shares}
        seconds = predicted.seconds(allocation, at, models)
        if seconds is not None:
            heappush(ends, (at + seconds, allocation.trial_id, shares))
    return found
