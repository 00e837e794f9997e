"""How many slots are free where, indexed so that a place is found without looking at all nodes."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from shoal_scheduler.core.tables import Fork, Line, change, settle


class Spot(NamedTuple):
    """A node's slots of one model. Spots sort by what is free, then fullness, then age."""

    free: int
    taken: int
    number: int
    """Nodes count up as they join."""
    node_id: str


_NONE = Spot(0, 0, 0, "")

Share = tuple[str, str, int]
"""Node, model, and how many of its slots."""


class Room:
    """Free slots by pool, model and node. Forks of it are the `what if` of a decision."""

    def __init__(self) -> None:
        self._spots: dict[tuple[str, str], tuple[str, Spot]] = {}
        """Node and model to pool and spot."""
        self._lines: dict[tuple[str, str], Line[Spot]] = {}
        """Pool and model to the spots that have free slots."""
        self._free: dict[tuple[str, str], int] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        """Pool and model to slots, free or not."""
        self._models: dict[str, list[str]] = {}
        """Pool to the models of its slots, by name."""

    def fork(self) -> "Room":
        """A room that begins as this one is. This one may change later only where the fork did
        before."""
        room = Room.__new__(Room)  # without tables of its own to be thrown away
        room._spots = Fork(self._spots)
        room._lines = Fork(self._lines, Line.fork)
        room._free, room._sizes = dict(self._free), dict(self._sizes)
        room._models = self._models
        return room

    def settle(self, base: "Room") -> None:
        """Change the room that this is a fork of as this was."""
        settle(self, base, ("_spots", "_lines", "_free", "_sizes", "_models"))

    def set(self, pool: str, model: str, spot: Spot) -> None:
        """What is known of a node's slots of a model from now on; of none, nothing is kept."""
        size = spot.free + spot.taken
        key, place = (pool, model), (spot.node_id, model)
        found = self._spots.get(place)
        if found is not None and (found[0] != pool or not size):
            self.drop(*place)
            found = None
        if not size:
            return
        if key not in self._sizes:
            models = [*self._models.get(pool, ()), model]
            self._models = {**self._models, pool: sorted(models)}
        before = _NONE if found is None else found[1]
        self._spots[place] = (pool, spot)
        self._free[key] = self._free.get(key, 0) + spot.free - before.free
        self._sizes[key] = self._sizes.get(key, 0) + size - before.free - before.taken
        if before.free:
            change(self._lines, key).remove(before)
        if spot.free:
            if key not in self._lines:
                self._lines[key] = Line()
            change(self._lines, key).add(spot)

    def drop(self, node_id: str, model: str) -> None:
        """A node's slots of a model count no more."""
        if (node_id, model) not in self._spots:
            return
        pool, spot = self._spots.pop((node_id, model))
        key = (pool, model)
        self._free[key] -= spot.free
        self._sizes[key] -= spot.free + spot.taken
        if spot.free:
            change(self._lines, key).remove(spot)
        if not self._sizes[key]:
            del self._sizes[key], self._free[key]
            rest = [other for other in self._models[pool] if other != model]
            self._models = {**self._models, pool: rest}
            if not rest:
                del self._models[pool]

    def shift(self, node_id: str, model: str, slots: int) -> None:
        """So many more slots are free (fewer, if negative); never less than none, nor than all."""
        found = self._spots.get((node_id, model))
        if found is None:
            return
        pool, spot = found
        free = min(max(0, spot.free + slots), spot.free + spot.taken)
        moved = spot.free - free
        self.set(pool, model, Spot(free, spot.taken + moved, spot.number, node_id))

    def take(self, shares: list[Share]) -> None:
        """These slots are taken."""
        for node_id, model, count in shares:
            self.shift(node_id, model, -count)

    def give(self, shares: list[Share]) -> None:
        """These slots are free again."""
        for node_id, model, count in shares:
            self.shift(node_id, model, count)

    def close(self, pool: str, model: str) -> None:
        """Nothing of a model is free in a pool."""
        for spot in list(self._lines.get((pool, model), ())):
            self.shift(spot.node_id, model, -spot.free)

    def at(self, node_id: str, model: str) -> int:
        """Free slots of a model on a node."""
        found = self._spots.get((node_id, model))
        return found[1].free if found else 0

    def models(self, pool: str) -> list[str]:
        """The models of a pool's slots, by name."""
        return self._models.get(pool, [])

    def free(self, pool: str, model: str) -> int:
        """Free slots of a model in a pool."""
        return self._free.get((pool, model), 0)

    def idle(self, pool: str) -> int:
        """Free slots of all models in a pool."""
        free, found = self._free, 0
        for model in self._models.get(pool, ()):
            found += free.get((pool, model), 0)
        return found

    def size(self, pool: str, model: str) -> int:
        """Slots of a model in a pool, free or not."""
        return self._sizes.get((pool, model), 0)

    def pools(self) -> list[str]:
        """The pools that have slots, by name."""
        return sorted(self._models)

    def number(self, node_id: str, model: str) -> int:
        """A known node's number by age."""
        return self._spots[(node_id, model)][1].number

    def fitting(
        self, pool: str, model: str, least: int, worst: bool, may: Callable[[str], bool]
    ) -> Iterator[Spot]:
        """The best spot of each size that has room, among nodes that `may`: from the smallest
        size that will do up (from the largest down, if `worst`). The oldest of a size is best."""
        line = self._lines.get((pool, model))
        spot = None if line is None else line.last() if worst else line.from_((least,))
        while line is not None and spot is not None and spot.free >= least:
            best = _oldest(line, spot.free, may)
            if best is not None:
                yield best
            spot = line.before((spot.free,)) if worst else line.from_((spot.free + 1,))

    def largest(self, pool: str, model: str) -> Iterator[Spot]:
        """Spots with the most free slots first; of equal ones whole nodes, then the older."""
        line = self._lines.get((pool, model))
        spot = line.last() if line else None
        while line is not None and spot is not None:
            for other in line.since((spot.free,)):
                if other.free != spot.free:
                    break
                yield other
            spot = line.before((spot.free,))


def _oldest(line: Line[Spot], free: int, may: Callable[[str], bool]) -> Spot | None:
    """The oldest node of those with exactly so many free slots: one look at each fullness."""
    best: Spot | None = None
    taken = 0
    while True:
        spot = line.from_((free, taken))
        if spot is not None and spot.free == free and not may(spot.node_id):
            group = line.since((free, taken))
            spot = next((s for s in group if s.free != free or may(s.node_id)), None)
        if spot is None or spot.free != free:
            return best
        if best is None or spot.number < best.number:
            best = spot
        taken = spot.taken + 1
