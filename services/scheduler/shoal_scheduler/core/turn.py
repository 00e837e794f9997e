"""A policy's turn at one pool: what it may look at, and what it may do."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from shoal_contract.events import (
    AllocationGranted,
    NodeBusy,
    Placement,
    Rendezvous,
    RunOrder,
    StartOrdered,
    Waiting,
)
from shoal_contract.ids import run_id
from shoal_contract.resources import Resources
from shoal_contract.states import StopReason
from shoal_scheduler.core.batches import Batch, Entry, Head, batch_of
from shoal_scheduler.core.draft import Draft
from shoal_scheduler.core.models import Allocation, Node, Return
from shoal_scheduler.core.placement import place
from shoal_scheduler.core.pools import PoolConfig
from shoal_scheduler.core.reach import largest
from shoal_scheduler.core.room import Room, Share
from shoal_scheduler.core.state import State
from shoal_scheduler.core.tables import Line

MOST = 100
"""Events after which a message's passes end; the next message, or Tick, goes on."""
FAR = 4096
"""How far in line one that asks for few slots is looked for."""
RIVALS = 64
"""How many that wait are asked whether the pool could ever serve them."""
STEP = 400
"""Events that the last step may lead to besides: a host takes no more than 1,000 at once."""


@dataclass(slots=True)
class _Promise:
    """The last of a batch that a place was promised to."""

    entry: Entry
    follower: Entry | None = None
    """Who is next in the batch; None: nobody may start."""
    stale: bool = True
    """Whether the follower has to be looked for."""


@dataclass(slots=True)
class Turn:
    """One pass over one pool."""

    draft: Draft
    pool: str
    config: PoolConfig
    thorough: bool = True
    """Whether to look at who has to yield even if nothing is free: at each Tick."""
    asked: dict[str, None] = field(default_factory=dict)
    """Allocations that the pass asked for their slots."""
    why: dict[str, Waiting] = field(default_factory=dict)
    """Allocations that the pass looked at and left waiting, and why."""
    _promised: dict[Batch, _Promise] = field(default_factory=dict)
    _slots: dict[str, int] = field(default_factory=dict)
    _rest: list[Head] | None = None
    """Those that were not yet looked at for who asks for few slots, the last first."""

    @property
    def state(self) -> State:
        """The state as the draft has it."""
        return self.draft.state

    @property
    def now(self) -> float:
        """Unix seconds."""
        return self.draft.now

    @property
    def room(self) -> Room:
        """The slots that are free, less what is kept for who comes back. To be forked, not
        changed."""
        return self._less(self.state.index.room, [r for r in self._returns() if r.until])

    @property
    def later(self) -> Room:
        """The same once all that was told to leave has left."""
        return self._less(self.state.index.later, self._returns())

    def _returns(self) -> list[Return]:
        """Those that are about to come back to the pool."""
        found = self.state.returns
        if not found:
            return []
        mine = ((trial, back) for trial, back in found.items() if back.pool == self.pool)
        return [back for _, back in sorted(mine) if back.until is None or back.until > self.now]

    def _less(self, room: Room, returns: list[Return]) -> Room:
        if returns:
            room = room.fork()
        for back in returns:
            room.take(self._place(back.resources, room, back.resources.least))
        return room

    @property
    def over(self) -> bool:
        """Whether to leave the rest to the next pass: this message has led to enough, or nothing is
        free, and who has to yield is looked at with the next Tick."""
        if len(self.draft.events) >= MOST:
            return True
        return not self.thorough and not self.room.idle(self.pool)

    def leaving(self) -> Iterator[Allocation]:
        """Those in the pool that were told to leave."""
        return self._all(self.state.index.leaving)

    @property
    def leavers(self) -> int:
        """How many of the pool were told to leave."""
        return len(self.state.index.leaving.get(self.pool, ()))

    @property
    def waiters(self) -> int:
        """How many lines of requests that are alike wait for the pool and may start."""
        return len(self.state.index.heads.get(self.pool, ()))

    @property
    def runners(self) -> int:
        """How many hold slots in the pool."""
        return len(self.state.index.running.get(self.pool, ()))

    def elastic(self) -> Iterator[Allocation]:
        """Those in the pool that hold slots and can be resized."""
        return self._all(self.state.index.elastic)

    def running(self, first: int = 0, most: int | None = None) -> Iterator[Allocation]:
        """Those that hold slots in the pool: the least important first, else who got them first.
        From the `first` on, at `most` so many."""
        return self._all(self.state.index.running, first, most)

    def _all(
        self,
        lines: Mapping[str, Line[Entry]] | Mapping[str, Line[Head]],
        first: int = 0,
        most: int | None = None,
    ) -> Iterator[Allocation]:
        line = lines.get(self.pool)
        if line is None:
            return iter(())
        entries: Iterable[Entry | Head] = line if most is None else line.some(first, most)
        return map(self.state.allocations.__getitem__, (e.allocation_id for e in entries))

    def heads(self, first: int = 0, most: int | None = None) -> Iterator[Allocation]:
        """Those that may start, in line; of requests that are alike only the first. From the
        `first` on, at `most` so many."""
        return self._all(self.state.index.heads, first, most)

    def next(self, most: int | None = None) -> Allocation | None:
        """The next in line, of those that may start and were not passed over in this turn. Who
        waits behind one that is like it and was passed over has to wait as well; behind one that
        a place was promised to, not. With `most`, who asks for no more slots: it is looked for
        among the first `FAR`, from the one on that was found before."""
        line = self.state.index.heads.get(self.pool, ())
        best: Entry | Head | None
        if most is None:
            best = next((entry for entry in line if entry.allocation_id not in self.why), None)
        else:
            best = self._small(most)
        for batch, promise in self._promised.items():
            if most is not None and batch.slots > most:
                continue
            if promise.stale:
                promise.follower, promise.stale = self._follower(batch, promise.entry), False
            ranked = promise.follower
            if ranked is None or ranked.allocation_id in self.why:
                continue
            if best is None or ranked < best[:3]:
                best = ranked
        return None if best is None else self.state.allocations[best.allocation_id]

    def _small(self, most: int) -> Head | None:
        """The first that asks for no more slots, of those that were not looked at."""
        index = self.state.index
        if not most:
            return None
        if self._rest is None:
            line = index.heads.get(self.pool)
            self._rest = [] if line is None else line.some(0, FAR)[::-1]
        while self._rest:
            head = index.head(self._rest[-1].batch)
            if head is not None and head.batch.slots <= most and head.allocation_id not in self.why:
                return head
            self._rest.pop()
        return None

    def _follower(self, batch: Batch, entry: Entry) -> Entry | None:
        """Who is next in a batch behind an entry, in its place among others, if it may start."""
        index, more = self.state.index, self.promised(self.state.index.owner_of(batch))
        if index.allowance(batch) < batch.slots + more:
            return None
        follower = next((e for e in index.queues[batch].since(entry) if e > entry), None)
        return None if follower is None else index.ranked(batch, follower, more)

    def _forget_followers(self, allocation: Allocation) -> None:
        """Look anew who is next in batches that share a limit or a rank with an allocation."""
        workspace = allocation.resources.workspace
        limited = self.state.index.pools.quota(workspace) is not None
        together = limited or self.config.share_by == "workspace"
        for batch, promise in self._promised.items():
            mine = batch.experiment_id == allocation.experiment_id
            if mine or (together and batch.workspace == workspace):
                promise.stale = True

    def passed(self, allocation: Allocation, why: Waiting) -> None:
        """It finds no place in this turn."""
        self.why[allocation.allocation_id] = why

    def promise(self, allocation: Allocation) -> None:
        """It starts when others have left."""
        self.passed(allocation, "leaving")
        batch = batch_of(allocation, self.pool)
        line = self.state.index.queues[batch]
        name = allocation.allocation_id
        self._promised[batch] = _Promise(next(e for e in line if e.allocation_id == name))
        owner = self.owner(allocation)
        self._slots[owner] = self._slots.get(owner, 0) + allocation.least
        self._forget_followers(allocation)

    def promised(self, owner: str) -> int:
        """Slots that were promised to an owner in this turn."""
        return self._slots.get(owner, 0)

    def owner(self, allocation: Allocation) -> str:
        """Who has a share in the pool: an allocation's experiment or workspace."""
        by_experiment = self.config.share_by == "experiment"
        return allocation.experiment_id if by_experiment else allocation.resources.workspace

    def find(
        self, allocation: Allocation, room: Room, slots: int = 0, model: str = ""
    ) -> list[Share]:
        """Where an allocation would go; empty: nowhere. It asks for its least, if not told."""
        return self._place(allocation.resources, room, slots or allocation.least, model)

    def _place(self, resources: Resources, room: Room, slots: int, model: str = "") -> list[Share]:
        return place(
            room,
            self.pool,
            resources,
            slots,
            self.may(resources),
            self.able,
            self.config.fitting,
            model,
        )

    def rivals(self, allocation: Allocation | None = None) -> bool:
        """Whether others wait that the pool could ever serve; an allocation that waits is none."""
        line, seen = self.state.index.heads.get(self.pool), 0
        for head in () if line is None else line.some(0, RIVALS):
            seen += 1
            if allocation is not None and head.allocation_id == allocation.allocation_id:
                if head.ready > 1:
                    return True
            elif self._serves(head):
                return True
        return line is not None and seen < len(line)

    def _serves(self, head: Head) -> bool:
        resources = self.state.allocations[head.allocation_id].resources
        return largest(self.state, resources, self.pool, head.batch.slots) >= head.batch.slots

    def best(self, allocation: Allocation, room: Room, model: str = "") -> list[Share]:
        """Where an allocation would go, with as many slots as it can use if nobody else waits."""
        shares = self.find(allocation, room, model=model)
        if not shares or allocation.least == allocation.resources.most:
            return shares
        if self.rivals(allocation):
            return shares
        size = int(min(allocation.resources.most, self.allowance(allocation)))
        for slots in range(size, allocation.least, -1):
            larger = self.find(allocation, room, slots, model)
            if larger:
                return larger
        return shares

    def allowance(self, allocation: Allocation) -> float:
        """Slots that its experiment and workspace may hold besides what they do."""
        return self.state.index.allowance(batch_of(allocation, self.pool))

    def may(self, resources: Resources) -> Callable[[str], bool]:
        """Which nodes a trial may use."""
        if not resources.choosy:
            return _anywhere
        nodes = self.state.nodes
        return lambda node_id: nodes[node_id].suits(resources)

    def able(self, node_id: str) -> bool:
        """Whether a node has a port left to meet at."""
        node = self.state.nodes.get(node_id)
        return node is not None and self._port(node) is not None

    def grant(self, allocation: Allocation, shares: list[Share]) -> None:
        """Give an allocation the first free slots of these shares of nodes, and order its runs."""
        nodes = self.state.nodes
        numbers: dict[str, list[int]] = {}
        for node_id, model, count in shares:
            numbers.setdefault(node_id, []).extend(nodes[node_id].free(model)[:count])
        placements = [
            Placement(node_id=name, incarnation=nodes[name].incarnation, slots=slots)
            for name, slots in numbers.items()
        ]
        first = nodes[placements[0].node_id]
        rendezvous = Rendezvous(host=first.host, port=self._port(first) or 0)
        price = sum(count * self.config.price_of(model) for _, model, count in shares)
        idle = [nodes[name] for name in numbers if not nodes[name].held]
        self.draft.emit(
            AllocationGranted(
                experiment_id=allocation.experiment_id,
                allocation_id=allocation.allocation_id,
                trial_id=allocation.trial_id,
                attempt=allocation.task.attempt,
                placements=placements,
                rendezvous=rendezvous,
                at=self.now,
                price=price,
            )
        )
        self._forget_followers(allocation)
        for node in idle:
            self.draft.emit(NodeBusy(node_id=node.node_id, instance_id=node.instance_id))
        self._order(allocation, placements, rendezvous)

    def preempt(self, allocation: Allocation, returns: bool = False) -> None:
        """Ask for an allocation's slots back. They are free when its runs have ended. Who `returns`
        in another size or place has its least kept for it."""
        pool = self.pool if returns else ""
        self.asked[allocation.allocation_id] = None
        self.draft.release(allocation.allocation_id, StopReason.PREEMPTED, returns_to=pool)
        self._forget_followers(allocation)

    def _order(
        self, allocation: Allocation, placements: list[Placement], rendezvous: Rendezvous
    ) -> None:
        first_rank = 0
        world_size = sum(len(placement.slots) for placement in placements)
        for node_rank, placement in enumerate(placements):
            order = RunOrder(
                allocation_id=allocation.allocation_id,
                run_id=run_id(allocation.allocation_id, node_rank),
                node_rank=node_rank,
                first_rank=first_rank,
                slots=placement.slots,
                world_size=world_size,
                nodes=len(placements),
                rendezvous=rendezvous,
                task=allocation.task,
            )
            first_rank += len(placement.slots)
            self.draft.emit(
                StartOrdered(
                    node_id=placement.node_id,
                    incarnation=placement.incarnation,
                    allocation_id=allocation.allocation_id,
                    run=order,
                )
            )

    def _port(self, node: Node) -> int | None:
        """A port that a node offers and nobody uses, taken in turn; None: there is none."""
        used: Mapping[tuple[str, int], str] = self.state.index.ports
        count = len(node.ports)
        for use in range(node.port_uses, node.port_uses + count):
            port = node.ports[use % count]
            if (node.host, port) not in used:
                return port
        return None


def _anywhere(node_id: str) -> bool:
    return True
