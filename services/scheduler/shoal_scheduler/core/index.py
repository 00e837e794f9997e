"""What follows from nodes and allocations, kept so that one event costs next to nothing."""

from collections.abc import Iterator

from shoal_contract.states import AllocationState, NodeState
from shoal_scheduler.core.asks import Asks
from shoal_scheduler.core.batches import Batch, Entry, Head, batch_of, by_age, due, owners
from shoal_scheduler.core.models import Allocation, Month, Node, Share
from shoal_scheduler.core.pools import Pools
from shoal_scheduler.core.room import Room, Spot
from shoal_scheduler.core.tables import Fork, Line, add, change, settle
from shoal_scheduler.core.wanted import Claim, Owner, Wanted

_TABLES = (
    "held", "used", "busy", "ports", "queues", "heads", "running", "members", "holders", "staying",
    "leaving", "going", "elastic", "bursts", "_batches", "_shown",
)  # fmt: skip
"""All that an index has besides its rooms and what is the state's."""


class Index:
    """Lines, counts and free slots. Equal states have equal indexes, however they came about."""

    def __init__(
        self,
        pools: Pools | None = None,
        shares: dict[str, Share] | None = None,
        months: dict[str, Month] | None = None,
    ) -> None:
        self.pools = pools or Pools()
        self.shares = {} if shares is None else shares
        self.months = {} if months is None else months
        self.room = Room()
        self.later = Room()
        """The room once all that was told to leave has left."""
        self.going: dict[str, None] = {}
        """The allocations that were told to leave."""
        self.held: dict[str, int] = {}
        """Experiment to the slots that it holds."""
        self.used: dict[str, int] = {}
        """Workspace to the slots that it holds."""
        self.busy: dict[str, str] = {}
        """Trial to its allocation that holds slots."""
        self.ports: dict[tuple[str, int], str] = {}
        """Host and port to the allocation that meets there."""
        self.queues: dict[Batch, Line[Entry]] = {}
        self.heads: dict[str, Line[Head]] = {}
        """Pool to the first of each batch that may start, for all that others do."""
        self.running: dict[str, Line[Entry]] = {}
        """Pool to the allocations that hold slots in it."""
        self.members: dict[tuple[str, str], Line[Entry]] = {}
        """Pool and who has a share in it to the allocations that hold slots, the oldest first."""
        self.holders: dict[str, Line[tuple[str]]] = {}
        """Pool to those who have such allocations."""
        self.staying: dict[tuple[str, str], int] = {}
        """Pool and who has a share in it to the slots held, less those being left."""
        self.asks = Asks()
        """What who has a share asks for, in pools of `fair_share`."""
        self.leaving: dict[str, Line[Entry]] = {}
        """Pool to the allocations that were told to leave."""
        self.elastic: dict[str, Line[Entry]] = {}
        """Pool to the allocations that hold slots and can be resized."""
        self.wanted = Wanted()
        """What may start and has not."""
        self.bursts: Line[Entry] = Line()
        """Allocations that may be widened, ranked by when."""
        self._batches: dict[tuple[str, str], dict[Batch, None]] = {}
        """`e`xperiment or `w`orkspace, and its id, to the batches that wait."""
        self._shown: dict[Batch, Head] = {}
        """Batch to its place in `heads`."""

    def fork(self, shares: dict[str, Share], months: dict[str, Month]) -> "Index":
        """An index that begins as this one is. This one must not change meanwhile."""
        index = Index.__new__(Index)
        index.pools, index.shares, index.months = self.pools, shares, months
        index.room, index.later = self.room.fork(), self.later.fork()
        index.going = Fork(self.going)
        index.held, index.used, index.busy = Fork(self.held), Fork(self.used), Fork(self.busy)
        index.ports = Fork(self.ports)
        index.queues, index.heads = Fork(self.queues, Line.fork), Fork(self.heads, Line.fork)
        index.running = Fork(self.running, Line.fork)
        index.members = Fork(self.members, Line.fork)
        index.holders = Fork(self.holders, Line.fork)
        index.staying = Fork(self.staying)
        index.asks = self.asks.fork()
        index.leaving = Fork(self.leaving, Line.fork)
        index.elastic = Fork(self.elastic, Line.fork)
        index.wanted = self.wanted.fork()
        index.bursts = self.bursts.fork()
        index._batches = Fork(self._batches, dict)
        index._shown = Fork(self._shown)
        return index

    def settle(self, base: "Index") -> None:
        """Change the index that this is a fork of as this was."""
        self.room.settle(base.room)
        self.later.settle(base.later)
        self.asks.settle(base.asks)
        self.wanted.settle(base.wanted)
        settle(self, base, _TABLES)

    def see(self, node: Node) -> None:
        """A node is new or other than it was."""
        for model, (usable, free, coming) in node.counts(self.going).items():
            if node.state is not NodeState.READY:
                self.room.drop(node.node_id, model)
                self.later.drop(node.node_id, model)
                continue
            for room, some in ((self.room, free), (self.later, free + coming)):
                room.set(node.pool, model, Spot(some, usable - some, node.number, node.node_id))

    def forget(self, node: Node) -> None:
        """A node is gone."""
        for model in dict.fromkeys(slot.model for slot in node.slots):
            self.room.drop(node.node_id, model)
            self.later.drop(node.node_id, model)

    def enqueue(self, allocation: Allocation) -> None:
        """It waits, in the pools that may serve it; not while its previous attempt has slots."""
        if allocation.trial_id in self.busy:
            return
        for pool in allocation.pools:
            batch = batch_of(allocation, pool)
            if batch not in self.queues:
                self.queues[batch] = Line()
                for owner in owners(batch):
                    self._batches.setdefault(owner, {})
                    change(self._batches, owner)[batch] = None
            change(self.queues, batch).add(self.entry(allocation, pool))
            self._show(batch)
        more = len(allocation.resources.pools) > len(allocation.pools)
        if more:
            self.bursts.add(due(allocation))

    def dequeue(self, allocation: Allocation) -> None:
        """It waits no more."""
        if allocation.trial_id in self.busy:
            return
        for pool in allocation.pools:
            batch = batch_of(allocation, pool)
            line = change(self.queues, batch)
            line.remove(self.entry(allocation, pool))
            self._show(batch)
            if not line:
                del self.queues[batch]
                for owner in owners(batch):
                    rest = change(self._batches, owner)
                    del rest[batch]
                    if not rest:
                        del self._batches[owner]
        if len(allocation.resources.pools) > len(allocation.pools):
            self.bursts.remove(due(allocation))

    def hold(self, allocation: Allocation) -> None:
        """It holds slots."""
        self.busy[allocation.trial_id] = allocation.allocation_id
        if allocation.rendezvous is not None:
            meeting = allocation.rendezvous
            self.ports[(meeting.host, meeting.port)] = allocation.allocation_id
        owner = (allocation.pool, self.owner(allocation))
        if owner not in self.members:
            add(self.holders, allocation.pool, (owner[1],))
        add(self.members, owner, by_age(allocation))
        self.rank(allocation)
        self._stay(allocation, allocation.slots)
        self._count(allocation, allocation.slots)
        if allocation.state is AllocationState.RELEASING:
            self.going[allocation.allocation_id] = None
            self._stay(allocation, -allocation.slots)
            self._refresh(allocation)

    def leave(self, allocation: Allocation) -> None:
        """It was told to leave. Its nodes are to be seen anew."""
        self.going[allocation.allocation_id] = None
        add(self.leaving, allocation.pool, self._running(allocation))
        self._stay(allocation, -allocation.slots)
        self._refresh(allocation)

    def release(self, allocation: Allocation) -> None:
        """It holds slots no more."""
        del self.busy[allocation.trial_id]
        if allocation.rendezvous is not None:
            del self.ports[(allocation.rendezvous.host, allocation.rendezvous.port)]
        owner = (allocation.pool, self.owner(allocation))
        change(self.members, owner).remove(by_age(allocation))
        if not self.members[owner]:
            del self.members[owner]
            change(self.holders, allocation.pool).remove((owner[1],))
        self.unrank(allocation)
        self.going.pop(allocation.allocation_id, None)
        if allocation.state is not AllocationState.RELEASING:
            self._stay(allocation, -allocation.slots)
        self._count(allocation, -allocation.slots)

    def unrank(self, allocation: Allocation) -> None:
        """Take it out of the lines of those that hold slots."""
        self._mark(allocation.pool, self.owner(allocation))
        for lines in self._lines_of(allocation):
            change(lines, allocation.pool).remove(self._running(allocation))

    def rank(self, allocation: Allocation) -> None:
        """Put it in its place in the lines of those that hold slots."""
        self._mark(allocation.pool, self.owner(allocation))
        for lines in self._lines_of(allocation):
            add(lines, allocation.pool, self._running(allocation))

    def _lines_of(self, allocation: Allocation) -> Iterator[dict[str, Line[Entry]]]:
        yield self.running
        if allocation.least < allocation.resources.most:
            yield self.elastic
        if allocation.state is AllocationState.RELEASING:
            yield self.leaving

    def owner(self, allocation: Allocation) -> str:
        """Who has a share in the pool that an allocation runs in."""
        by_experiment = self.pools.of(allocation.pool).share_by == "experiment"
        return allocation.experiment_id if by_experiment else allocation.resources.workspace

    def heads_of(self, pool: str, owner: str) -> Iterator[Head]:
        """Those in a pool's `heads` that are of who has a share there."""
        kind = "e" if self.pools.of(pool).share_by == "experiment" else "w"
        shown = map(self._shown.get, self._batches.get((kind, owner), ()))
        return (head for head in shown if head is not None and head.batch.pool == pool)

    def owner_of(self, batch: Batch) -> str:
        """Who has a share in a batch's pool."""
        by_experiment = self.pools.of(batch.pool).share_by == "experiment"
        return batch.experiment_id if by_experiment else batch.workspace

    def _mark(self, pool: str, owner: str) -> None:
        """What an owner asks for in a pool is other than it was."""
        if self.pools.of(pool).policy == "fair_share":
            self.asks.mark(pool, owner)

    def weight(self, batch: Batch) -> float:
        """The weight of who has a share in a batch's pool: as changed, or as its file says."""
        if self.pools.of(batch.pool).share_by == "workspace":
            found = self.pools.workspaces.get(batch.workspace)
            return found.weight if found else 1.0
        changed = self.share(batch.experiment_id).weight
        return batch.weight if changed is None else changed

    def weight_of(self, allocation: Allocation, pool: str) -> float:
        """The weight of who has a share in a pool, for an allocation."""
        return self.weight(batch_of(allocation, pool))

    def priority(self, allocation: Allocation) -> int:
        """An allocation's priority, as changed or as its file says."""
        changed = self.share(allocation.experiment_id).priority
        return allocation.resources.priority if changed is None else changed

    def reshow(self, owner: Owner) -> None:
        """What changed about an experiment or a workspace takes effect on who may start."""
        for batch in list(self._batches.get(owner, ())):
            self._show(batch)

    def queued(self, experiment_id: str) -> Iterator[str]:
        """The allocations of an experiment that wait; one may come up once for each pool."""
        return self._waiting(("e", experiment_id))

    def waiting_of(self, workspace: str) -> Iterator[str]:
        """The allocations of a workspace that wait; one may come up once for each pool."""
        return self._waiting(("w", workspace))

    def _waiting(self, owner: tuple[str, str]) -> Iterator[str]:
        for batch in list(self._batches.get(owner, ())):
            for entry in list(self.queues[batch]):
                yield entry.allocation_id

    def share(self, experiment_id: str) -> Share:
        """What a person changed about an experiment."""
        return self.shares.get(experiment_id, _AS_FILED)

    def limit(self, experiment_id: str, filed: int | None) -> int | None:
        """Slots that an experiment may hold at once: as changed, else as its file says."""
        changed = self.share(experiment_id).max_slots
        return (filed if changed is None else changed) or None

    def allowance(self, batch: Batch) -> float:
        """Slots that may be added to what the batch's experiment and its workspace hold."""
        if self.share(batch.experiment_id).hold or self.used_up(batch.workspace):
            return 0
        return min(self._allowances(batch))

    def _allowances(self, batch: Batch) -> tuple[float, float]:
        """The same of its experiment, and of its workspace."""
        limit = self.limit(batch.experiment_id, batch.max_slots)
        quota = self.pools.quota(batch.workspace)
        return (
            float("inf") if limit is None else limit - self.held.get(batch.experiment_id, 0),
            float("inf") if quota is None else quota - self.used.get(batch.workspace, 0),
        )

    def used_up(self, workspace: str) -> str:
        """The month's quota that a workspace has used up, in words; empty: none."""
        return self.months[workspace].used_up if workspace in self.months else ""

    def ranked(self, batch: Batch, entry: Entry, more: int = 0) -> Entry:
        """A batch's entry among other batches; `more` slots count as held already."""
        config = self.pools.of(batch.pool)
        if config.policy != "fair_share":
            return entry
        held = self.staying.get((batch.pool, self.owner_of(batch)), 0) + more
        return Entry(held / self.weight(batch), entry.number, entry.allocation_id)

    def head(self, batch: Batch) -> Head | None:
        """The first of a batch, if it may start."""
        return self._shown.get(batch)

    def entry(self, allocation: Allocation, pool: str) -> Entry:
        """Its place among those that wait in a pool."""
        config = self.pools.of(pool)
        rank = 0.0
        if config.policy == "priority":
            rank = float(self.priority(allocation))
            if config.ageing:  # who waits gains on all later ones alike: their order stands
                rank = rank * config.ageing + allocation.since
        return Entry(rank, allocation.number, allocation.allocation_id)

    def _running(self, allocation: Allocation) -> Entry:
        """The least important first; where nobody is, who got slots first."""
        rank = allocation.granted_at
        if self.pools.of(allocation.pool).policy == "priority":
            rank = -float(self.priority(allocation))
        return Entry(rank, allocation.number, allocation.allocation_id)

    def _count(self, allocation: Allocation, slots: int) -> None:
        for table, owner in (
            (self.held, allocation.experiment_id),
            (self.used, allocation.resources.workspace),
        ):
            table[owner] = table.get(owner, 0) + slots
            if not table[owner]:
                del table[owner]
        self._refresh(allocation)

    def _stay(self, allocation: Allocation, slots: int) -> None:
        owner = (allocation.pool, self.owner(allocation))
        self.staying[owner] = self.staying.get(owner, 0) + slots
        if not self.staying[owner]:
            del self.staying[owner]
        self._mark(*owner)

    def _refresh(self, allocation: Allocation) -> None:
        """What the allocation's experiment and workspace hold is other than it was."""
        self.reshow(("e", allocation.experiment_id))
        workspace = allocation.resources.workspace
        shared = self.pools.of(allocation.pool).share_by == "workspace"
        if shared or self.pools.quota(workspace) is not None:
            self.reshow(("w", workspace))

    def _limited(self, batch: Batch) -> Owner | None:
        """Who has the limit that a batch shares with others."""
        if self.pools.quota(batch.workspace) is not None:
            return "w", batch.workspace
        limited = self.limit(batch.experiment_id, batch.max_slots) is not None
        return ("e", batch.experiment_id) if limited else None

    def share_out(self) -> list[str]:
        """Bring what is wanted up to date where a limit is shared. The pools where it changed."""
        return self.wanted.share_out(self._claims)

    def _claims(self, owner: Owner) -> Iterator[Claim]:
        for batch in self._batches.get(owner, ()):
            head = self._shown.get(batch)
            if head is not None and batch.last:
                lefts = zip(owners(batch), self._allowances(batch), strict=True)
                yield Claim(head.number, batch, len(self.queues[batch]), tuple(lefts))

    def _show(self, batch: Batch) -> None:
        """Bring a batch's head and its part of the wants up to date."""
        old = self._shown.get(batch)
        line = self.queues[batch]
        count = int(min(len(line), self.allowance(batch) // batch.slots))
        new = None
        if count > 0 and (first := line.first()) is not None:
            new = Head(*self.ranked(batch, first), batch, count)
        limit = self._limited(batch)
        if limit is not None:
            self.wanted.mark(limit)
        if limit is None or new is None:
            self.wanted.count(batch, new.ready if new else 0)
        if new == old:
            return
        self._mark(batch.pool, self.owner_of(batch))
        if old is not None:
            change(self.heads, batch.pool).remove(old)
            del self._shown[batch]
        if new is not None:
            add(self.heads, batch.pool, new)
            self._shown[batch] = new


_AS_FILED = Share()
