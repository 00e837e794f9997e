"""Sharing a service's work: experiments belong to shards, and each shard to one replica.

A replica that is alive says so in the leases' bucket. Each takes shards that nobody has until it
has its fair share, and gives back what is more than that when others come.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from nats.js.errors import NoKeysError

from shoal_bus.bus import AWAY, LEASE_TTL, LEASES, Bus
from shoal_bus.cancelling import stop_if_cancelled
from shoal_contract.events import Event, ShardAppended
from shoal_contract.ids import shard_of
from shoal_decider import Decider, Message

log = logging.getLogger(__name__)
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`-th of `count` parts of a service's experiments."""

    index: int
    count: int

    @property
    def name(self) -> str:
        """Its name, e.g. `0of4`."""
        return f"{self.index}of{self.count}"

    def has(self, body: object) -> bool:
        """Whether a message belongs here; what is about no experiment belongs to all."""
        experiment_id = getattr(body, "experiment_id", None)
        return experiment_id is None or shard_of(str(experiment_id), self.count) == self.index


class Sharded(Generic[S]):
    """A decider that knows the experiments of one shard only. Its name is its own, and with it
    its lease and its snapshot."""

    def __init__(self, decider: Decider[S], shard: Shard) -> None:
        self._decider, self.shard = decider, shard
        self.name = f"{decider.name}-{shard.name}"
        self.mark = ShardAppended(shard=shard.name)

    def initial(self) -> S:
        """The decider's."""
        return self._decider.initial()

    def decide(self, state: S, message: Message) -> Sequence[Event]:
        """The decider's, on what belongs here."""
        return self._decider.decide(state, message) if self.shard.has(message.body) else []

    def evolve(self, state: S, event: Event) -> S:
        """The decider's, by what belongs here."""
        return self._decider.evolve(state, event) if self.shard.has(event) else state

    def dump(self, state: S) -> bytes:
        """The decider's."""
        return self._decider.dump(state)

    def load(self, data: bytes) -> S:
        """The decider's."""
        return self._decider.load(data)


@dataclass(slots=True)
class Sharing:
    """Runs `work` for as many shards as are this replica's to do, until cancelled. `name` is the
    decider's, before it is sharded."""

    bus: Bus
    name: str
    count: int
    work: Callable[[Shard], Awaitable[None]]
    _tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    async def run(self) -> None:
        """Take shards and give them back, for ever. Raises what a shard's work raises."""
        try:
            while True:
                stop_if_cancelled()
                try:
                    await self._share()
                except AWAY as error:
                    log.info("%s: the shards cannot be shared now (%r)", self.name, error)
                done = [task for task in self._tasks.values() if task.done()]
                for task in done:
                    task.result()
                await asyncio.sleep(LEASE_TTL / 6)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _share(self) -> None:
        me, bucket = self.bus.settings.replica, await self.bus.bucket(LEASES)
        await bucket.put(f"member.{self.name}.{me}", b"")
        try:
            keys = await bucket.keys()
        except NoKeysError:
            keys = []
        members = sum(key.startswith(f"member.{self.name}.") for key in keys)
        leases = {key: index for index in range(self.count) if (key := self._lease(index)) in keys}
        held = {}
        for key, index in leases.items():
            held[index] = ((await bucket.get(key)).value or b"").decode()
        mine = sorted(index for index, holder in held.items() if holder == me)
        fair = -(-self.count // max(1, members))
        for index in [i for i in self._tasks if held.get(i, me) != me] + mine[fair:]:
            await self._give_back(index)
        working = len(self._tasks)
        for index in range(self.count):
            free = held.get(index, me) == me and index not in self._tasks
            if free and working < fair:
                self._tasks[index] = asyncio.ensure_future(self._work(index))
                working += 1

    async def _work(self, index: int) -> None:
        await self.work(Shard(index, self.count))

    async def _give_back(self, index: int) -> None:
        task = self._tasks.pop(index, None)
        if task is not None:
            log.info("%s: shard %d goes to another replica", self.name, index)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _lease(self, index: int) -> str:
        return f"leader.{self.name}-{Shard(index, self.count).name}"
