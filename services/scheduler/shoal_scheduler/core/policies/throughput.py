"""Unlike slots: each trial gets the model on which it gains most, who is done soonest first.

Service is counted by what a trial trains, not by the time it holds slots, as in Gavel (Narayanan et
al., OSDI 2020) and Sia (Subramanya et al., SOSP 2023): slot-seconds times its gain (its speed on
that model over its mean speed in the pool). Who has least left up to its target goes first, or, as
long as that is not known, who had least, in levels, so that nobody is swapped for a hair's breadth
(Tiresias: Gu et al., NSDI 2019); waiting raises a level, so that nobody starves. Of one level, free
slots go to who gains most by them. Gains are learned, see `speeds.py`.
"""

from bisect import insort
from collections.abc import Iterable, Iterator
from math import log

from shoal_scheduler.core.ahead import Ahead
from shoal_scheduler.core.batches import Entry, batch_of
from shoal_scheduler.core.models import Allocation
from shoal_scheduler.core.room import Room, Share
from shoal_scheduler.core.speeds import LEAST, Speeds
from shoal_scheduler.core.tables import reader
from shoal_scheduler.core.turn import Turn
from shoal_scheduler.core.yielding import Tier, Yielders, compared, may_yield, scale

FIRST = 3600.0
"""Service, in slot-seconds, up to which a trial is of level 0; each further level holds `STEP` as
much."""
STEP = 4.0
PATIENCE = 30
"""Rounds of waiting that raise a trial by one level."""
STARVING = 10
"""Rounds after which the first in line has its place reserved, so that a gang gets its turn."""
WORTH = 1.25
"""A running trial is moved for a gain so many times the one that it has; two are swapped for the
square of it, taken together."""
DEPTH = 64
"""How many of a level, the oldest, are compared by their gains."""
PASSED = 32
"""How many find no free place in one pass, before only who asks for no more than is free is looked
at, and of these before it ends."""
LOOK = 512
"""How many of those that wait, and of those that run, are looked at in one pass."""


class Throughput:
    """The model on which each gains most, in turns."""

    def run(self, turn: Turn) -> None:
        """One pass: free slots to who gains most, then slots back from who had more."""
        if not turn.over:
            _Pass(turn).run()


def in_order(turn: Turn, entries: Iterable[Entry]) -> list[Entry]:
    """Those who wait, as a pass would look at them now."""
    allocations, one = turn.state.allocations, _Pass(turn)
    return sorted(entries, key=lambda entry: one.place(allocations[entry.allocation_id]))


class _Pass:
    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.speeds = Speeds(turn.state.speeds, turn.state.ratios, turn.room, turn.pool)
        self._now = turn.now
        self._past = reader(turn.state.past)
        self._strides = reader(turn.state.strides)
        self._as_filed = turn.config.share_by == "experiment" and not turn.state.index.shares
        """Whether weights are those of the files."""
        self._ahead: Ahead | None = None
        self.line = sorted(self.place(a) for a in turn.heads(*self.some(turn.waiters)))
        self._running: list[str] | None = None
        self._levels: dict[str, int] = {}
        self._ways: dict[str, list[tuple[float, float, str, str]]] = {}
        self._yielders: dict[tuple[object, ...], Yielders] = {}

    def run(self) -> None:
        turn = self.turn
        if not self.line:
            if turn.thorough:
                self.move()
            return
        if turn.thorough and turn.config.preemption and not turn.leavers:
            self.swap()
            self._ahead = None
        first = turn.state.allocations[self.line[0][2]]
        starving = turn.now - first.queued_at >= STARVING * turn.config.round
        if starving and not turn.find(first, self.room):
            self.displace(turn.state.allocations[self.line.pop(0)[2]], self.level(first))
            if turn.why[first.allocation_id] != "leaving":
                self.ahead.reserve(first)
        far = False
        while self.line and not turn.over and len(turn.why) < 2 * PASSED:
            if not far and len(turn.why) >= PASSED:
                far, most = True, self.ahead.most
                self.line = [p for p in self.line if turn.state.allocations[p[2]].least <= most]
                continue
            level = self.line[0][0]
            found = self.match(level)
            if found is not None:
                self.line.remove(self.place(found[0]))
                self.start(*found)
                self._follow(found[0])
                continue
            allocation = turn.state.allocations[self.line.pop(0)[2]]
            if brief := self.ahead.brief(allocation):
                self.ahead.lend(allocation, brief)
                self._follow(allocation)
            elif far:
                turn.passed(allocation, "room")
            else:
                self.displace(allocation, level)

    def _follow(self, allocation: Allocation) -> None:
        """Who waited behind one that starts is in line now."""
        turn = self.turn
        follower = turn.state.index.head(batch_of(allocation, turn.pool))
        if follower is not None:
            insort(self.line, self.place(turn.state.allocations[follower.allocation_id]))

    @property
    def ahead(self) -> Ahead:
        """What is free, and what will be: from when on a place was kept, not before."""
        if self._ahead is None:
            self._ahead = Ahead(self.turn)
        return self._ahead

    @property
    def room(self) -> Room:
        """What is free now, less what is kept."""
        return self.turn.room if self._ahead is None else self._ahead.now

    def start(self, allocation: Allocation, shares: list[Share]) -> None:
        if self._ahead is None:
            self.turn.grant(allocation, shares)
        else:
            self._ahead.start(allocation, shares)

    def match(self, level: int) -> tuple[Allocation, list[Share]] | None:
        """Who of a level gains most by slots that are free, and where."""
        room, pool = self.room, self.turn.pool
        free = {model: room.free(pool, model) for model in room.models(pool)}
        if not any(free.values()):
            return None
        allocations = self.turn.state.allocations
        same = [allocations[name] for at, _, name in self.line[:DEPTH] if at == level]
        ways = sorted(way for a in same for way in self.ways(a) if a.least <= free[way[2]])
        for _, _, model, name in ways:
            allocation = allocations[name]
            shares = self.turn.best(allocation, room, model)
            if shares:
                return allocation, shares
        return None

    def ways(self, allocation: Allocation) -> list[tuple[float, float, str, str]]:
        """The models that it might get, each in its place by what it gains."""
        name = allocation.allocation_id
        if name not in self._ways:
            gains = self.speeds.gains(allocation.program)
            self._ways[name] = [(-g, allocation.number, model, name) for model, g in gains.items()]
        return self._ways[name]

    def displace(self, allocation: Allocation, level: int) -> None:
        """Promise it slots that are being left, or ask those of a higher level for theirs."""
        turn, ahead = self.turn, self.ahead
        shares = turn.find(allocation, ahead.later)
        if not shares and turn.config.preemption:
            if not ahead.shrink(allocation, lambda other: self.level_once(other) >= level):
                victims = self.yielders(allocation, level).choose(ahead.later, allocation)
                ahead.release(victims)
            shares = turn.find(allocation, ahead.later)
        if shares:
            ahead.promise(shares)
            turn.promise(allocation)
        else:
            turn.passed(allocation, "reserved" if turn.find(allocation, turn.room) else "room")

    def yielders(self, allocation: Allocation, level: int) -> Yielders:
        """Those of a higher level that may have to yield for it, who are where it gains most before
        others; looked for once for all that gain alike."""
        gains = self.speeds.gains(allocation.program)
        times = scale(allocation)
        key = (level, times, *gains.items())
        if key not in self._yielders:

            def tier(other: Allocation) -> Tier | None:
                able = may_yield(self.turn, other, self.turn.config.round)
                high = self.level_once(other)
                return (-gains.get(other.model, 1), -high) if able and high > level else None

            self._yielders[key] = Yielders(self.turn, compared(self.turn, self.able(), tier, times))
        return self._yielders[key]

    def able(self) -> Iterator[Allocation]:
        """Those that may still be asked to yield."""
        turn = self.turn
        if self._running is None:
            running = turn.running(*self.some(turn.runners))
            able = (a for a in running if may_yield(turn, a, turn.config.round))
            self._running = [a.allocation_id for a in able]
        for name in self._running:
            allocation = turn.state.allocations[name]
            if allocation.stop_reason is None:
                yield allocation

    def level_once(self, allocation: Allocation) -> int:
        """The level of one that runs, worked out once in a pass."""
        name = allocation.allocation_id
        if name not in self._levels:
            self._levels[name] = self.level(allocation)
        return self._levels[name]

    def some(self, count: int) -> tuple[int, int]:
        """The first place to look at in a line, and how many from there: of a very long one, other
        `LOOK` of them each second."""
        return int(self.turn.now) % (-(-count // LOOK) or 1) * LOOK, LOOK

    def place(self, allocation: Allocation) -> tuple[int, float, str]:
        """Its place in line; of who never ran, and of what nobody can tell what it needs, soon."""
        known = self._past(allocation.trial_id) or self._strides(allocation.program)
        level = self.level(allocation) if known else 0
        return level, allocation.number, allocation.allocation_id

    def move(self) -> None:
        """Nobody waits: the one who would gain most by a move to idle slots moves."""
        turn = self.turn
        best: tuple[float, float, Allocation] | None = None
        if next(turn.leaving(), None) is not None or not turn.config.preemption:
            return
        for allocation in self.able():
            for model in self.speeds.gains(allocation.program):
                times = self._times(allocation, model)
                if times < WORTH or (best is not None and times <= best[0]):
                    continue
                if self.find(allocation, self.room, model):
                    best = (times, allocation.number, allocation)
        if best is not None:
            turn.preempt(best[2], returns=True)

    def swap(self) -> None:
        """The two of one size, on unlike slots, that would gain most by each other's yield."""
        turn = self.turn
        best: tuple[float, float, Allocation, Allocation] | None = None
        if len(turn.room.models(turn.pool)) < 2:
            return
        for one, other in self._unlike():
            times = self._times(one, other.model) * self._times(other, one.model)
            if times >= WORTH**2 and (best is None or (-times, one.number) < best[:2]):
                best = (-times, one.number, one, other)
        for allocation in best[2:] if best is not None else ():
            turn.preempt(allocation)

    def _unlike(self) -> Iterator[tuple[Allocation, Allocation]]:
        """For each size and two models: who would gain most by the other, both ways."""
        groups: dict[tuple[int, str], list[Allocation]] = {}
        for allocation in self.able():
            groups.setdefault((allocation.slots, allocation.model), []).append(allocation)
        for (size, model), ones in groups.items():
            for (other_size, other), others in groups.items():
                if size == other_size and model < other:
                    yield self._most(ones, other), self._most(others, model)

    def _most(self, allocations: list[Allocation], model: str) -> Allocation:
        return max(allocations, key=lambda a: self._times(a, model))

    def _times(self, allocation: Allocation, model: str) -> float:
        gains = self.speeds.gains(allocation.program)
        return gains.get(model, 1.0) / max(gains.get(allocation.model, 1.0), LEAST)

    def find(self, allocation: Allocation, room: Room, model: str) -> list[Share]:
        return self.turn.find(allocation, room, model=model)

    def level(self, allocation: Allocation) -> int:
        """0 for who has least left, or had least; a weight counts as so much less service."""
        service = self.service(allocation) / self.weight(allocation)
        if service < FIRST:
            return 0
        level = 1 + int(log(service / FIRST, STEP))
        waited = 0.0 if allocation.runs else self._now - allocation.queued_at
        return max(0, level - int(waited / (PATIENCE * self.turn.config.round)))

    def service(self, allocation: Allocation) -> float:
        """What it still needs, if that can be told; else what it had: of lengths that vary much,
        who has trained for long has long to go."""
        name = allocation.program
        if stride := self._strides(name):
            left = self.speeds.left(allocation, name, stride, self._now)
            if left is not None:
                return left
        past = self._past(allocation.trial_id)
        had = past.used if past else 0.0
        if allocation.runs:
            gain = self.speeds.gains(name).get(allocation.model, 1)
            had += (self._now - allocation.granted_at) * allocation.slots * gain
        return had

    def weight(self, allocation: Allocation) -> float:
        if self._as_filed:
            return allocation.resources.weight
        return self.turn.state.index.weight_of(allocation, self.turn.pool)
