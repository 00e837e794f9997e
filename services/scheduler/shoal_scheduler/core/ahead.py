"""Looking ahead: what is free now, what will be once those who leave have left, and for whom."""

from collections.abc import Callable, Sequence
from itertools import islice

from shoal_contract.states import AllocationState
from shoal_scheduler.core.ends import Ends
from shoal_scheduler.core.models import Allocation
from shoal_scheduler.core.placement import suits
from shoal_scheduler.core.room import Room, Share
from shoal_scheduler.core.turn import STEP, Turn
from shoal_scheduler.core.yielding import Yielders, may_yield, shares_of


class Ahead:
    """The rooms of one pass: `now`, and `later`, when all that was told to leave has left.

    What is promised to somebody is gone from both, so that nobody else gets it meanwhile.
    """

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._ends = Ends(turn)
        self._kept: Room | None = None
        """What is free now, the reserved place included."""
        self._until = 0.0
        """When that place is needed."""
        self._elastic: list[str] | None = None
        """Those that may be made smaller, once looked for."""
        self.now = turn.room.fork()
        self.later = turn.later.fork()

    def start(self, allocation: Allocation, shares: list[Share]) -> None:
        """Grant what was found in `now`."""
        self.now.take(shares)
        self.later.take(shares)
        if self._kept is not None:
            self._kept.take(shares)
        self.turn.grant(allocation, shares)

    @property
    def most(self) -> int:
        """The most slots of one model that anybody may still get now; of any model, where mixes
        are."""
        pool, rooms = self.turn.pool, [self.now] if self._kept is None else [self.now, self._kept]
        free = [[room.free(pool, model) for model in room.models(pool)] for room in rooms]
        add = sum if self.turn.config.mixed_types else max
        return max(add(some) if some else 0 for some in free)

    def brief(self, allocation: Allocation) -> list[Share]:
        """Where an allocation would go that is predicted to end before the reserved place is
        needed: there, too. Empty: nowhere, or nobody can tell when it ends."""
        if self._kept is None:
            return []
        shares = self.turn.find(allocation, self._kept)
        slots: dict[str, int] = {}
        for _, model, count in shares:
            slots[model] = slots.get(model, 0) + count
        seconds = self._ends.seconds(allocation, self.turn.now, slots)
        return shares if seconds is not None and self.turn.now + seconds <= self._until else []

    def lend(self, allocation: Allocation, shares: list[Share]) -> None:
        """Grant what was found by `brief`: `later` is as it was."""
        kept = self._kept
        if kept is None:
            return
        kept.take(shares)
        _lower(self.now, kept, shares)
        for node_id, model, _ in shares:  # what it is forked from is about to change there
            self.later.shift(node_id, model, 0)
        self.turn.grant(allocation, shares)

    def promise(self, shares: Sequence[Share]) -> None:
        """Keep what was found in `later`."""
        self.later.take(list(shares))
        _lower(self.now, self.later, shares, self._kept)

    def release(self, victims: Sequence[Allocation], returns: bool = False) -> None:
        """Ask for slots back; of very many, for the rest in the next passes. All are promised."""
        events = 0
        for victim in victims:
            self.later.give(shares_of(self.turn.state, victim))
        for victim in victims:
            if returns:
                self.later.take(self.turn.find(victim, self.later))
            events += 1 + len(victim.runs)
            if events <= STEP or victim is victims[0]:
                self.turn.preempt(victim, returns)

    def shrink(self, allocation: Allocation, may: Callable[[Allocation], bool]) -> bool:
        """Let elastic allocations that `may` come back smaller, so that an allocation fits, and all
        of them beside it. Whether that is enough."""
        turn, running = self.turn, self.turn.state.allocations
        if self._elastic is None:
            large = (a for a in turn.elastic() if a.slots > a.least and self._lasts(a))
            self._elastic = [a.allocation_id for a in large]
        if not self._elastic:
            return False
        elastic = (running[name] for name in self._elastic)
        able = (a for a in elastic if a.stop_reason is None and may(a))
        candidates = (((), allocation) for allocation in islice(able, LARGE))
        victims = Yielders(turn, candidates).choose(self.later, allocation)
        room = self.later.fork()
        for victim in victims:
            room.give(shares_of(turn.state, victim))
        for one in (*victims, allocation) if victims else ():
            shares = turn.find(one, room)
            if not shares:
                return False
            room.take(shares)
        self.release(victims, returns=True)
        return bool(victims)

    def _lasts(self, allocation: Allocation) -> bool:
        """Whether it has had its size for long enough."""
        config = self.turn.config
        seconds = max(config.min_run, config.resize_after) if allocation.resized else config.min_run
        return may_yield(self.turn, allocation, seconds)

    def reserve(self, allocation: Allocation) -> None:
        """Keep the place that an allocation gets first, when running ones end as predicted (EASY:
        Lifka, The ANL/IBM SP scheduling system, 1995).

        Those whose end nobody can tell end after the others, the oldest first; but who started
        since the allocation waits counts as never ending, so that it is not overtaken for ever. If
        that leaves no place, nobody else gets slots that it could use.
        """
        turn, state = self.turn, self.turn.state
        room = self.later.fork()
        never: list[Allocation] = []
        ends: list[tuple[float, float, Allocation]] = []
        for other in turn.running(0, LOOK):
            end = self._ends.of(other)
            if other.state is not AllocationState.GRANTED:
                continue
            if end is None and other.granted_at >= allocation.since:
                never.append(other)
            else:
                at = _NEVER if end is None else max(turn.now, end)
                ends.append((at, other.number, other))
        for at, _, other in sorted(ends, key=lambda end: end[:2]):
            room.give(shares_of(state, other))
            shares = turn.find(allocation, room)
            if shares:
                self.later = room
                free = self.now  # not changed any more: forks read it
                self.now = free.fork()
                self.promise(shares)
                if at != _NEVER:
                    self._kept, self._until = free.fork(), at
                return
        for other in never:
            room.give(shares_of(state, other))
        if turn.find(allocation, room):
            for model in room.models(turn.pool):
                if suits(allocation.resources, model):
                    self.now.close(turn.pool, model)


def _lower(room: Room, most: Room, shares: Sequence[Share], also: Room | None = None) -> None:
    """Let no more be free in a room, where shares are, than in another one; in `also`, so many
    fewer."""
    for node_id, model, _ in shares:
        over = room.at(node_id, model) - most.at(node_id, model)
        if over > 0:
            room.shift(node_id, model, -over)
            if also is not None:
                also.shift(node_id, model, -over)


_NEVER = float("inf")
LARGE = 128
"""How many that may be made smaller are compared."""
LOOK = 1024
"""How many that run are asked when they end."""
