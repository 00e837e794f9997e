"""How many slots lay idle although somebody who waited could have used them: fragmentation."""

from collections import Counter, defaultdict
from collections.abc import Sequence


class Idle:
    """Free slots and what waits, pool by pool, as time passes."""

    def __init__(self) -> None:
        self.slot_seconds = 0.0
        """Slots that nobody held while a gang waited that needs no more than those of its pool."""
        self._seen = 0.0
        self._nodes: dict[str, tuple[str, int]] = {}
        self._held: Counter[str] = Counter()
        self._free: Counter[str] = Counter()
        self._wishes: dict[str, tuple[Sequence[str], int]] = {}
        self._sizes: dict[str, Counter[int]] = defaultdict(Counter)

    def passes(self, now: float) -> None:
        """Time passes up to now, with everything as it is."""
        seconds, self._seen = now - self._seen, now
        for pool, sizes in self._sizes.items() if seconds else ():
            free = self._free[pool]
            if free and sizes and min(sizes) <= free:
                self.slot_seconds += free * seconds

    def come(self, node_id: str, pool: str, slots: int) -> None:
        """A node with slots that nobody holds."""
        self._nodes[node_id] = pool, slots
        self._held[node_id] = 0
        self._free[pool] += slots

    def go(self, node_id: str) -> None:
        """A node is gone."""
        pool, slots = self._nodes.pop(node_id)
        self._free[pool] -= slots - self._held.pop(node_id)

    def hold(self, node_id: str, slots: int) -> None:
        """So many more slots of a node are held; fewer, if negative. Of one that is gone, none."""
        if node_id in self._nodes:
            self._held[node_id] += slots
            self._free[self._nodes[node_id][0]] -= slots

    def wait(self, allocation_id: str, pools: Sequence[str], slots: int) -> None:
        """It waits for so many slots."""
        self._wishes[allocation_id] = pools, slots
        for pool in pools:
            self._sizes[pool][slots] += 1

    def done(self, allocation_id: str) -> None:
        """It waits no more, if it did."""
        pools, slots = self._wishes.pop(allocation_id, ((), 0))
        for pool in pools:
            self._sizes[pool][slots] -= 1
            if not self._sizes[pool][slots]:
                del self._sizes[pool][slots]
