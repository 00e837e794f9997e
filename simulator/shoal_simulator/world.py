"""Virtual time, a network that misbehaves as told, and services that run the real deciders."""

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.events import Event, Refused
from shoal_contract.ids import event_id
from shoal_decider import Decider, Message, Tick, fold, settle

S = TypeVar("S")
Wants = Callable[[Event], bool]


class Faults(BaseModel):
    """What goes wrong. All chances are drawn from the simulation's seed."""

    model_config = ConfigDict(extra="forbid")

    delay: tuple[float, float] = (0.001, 0.01)
    """Seconds that a message takes, from and to."""
    duplicate: float = Field(default=0, ge=0, lt=1)
    """Chance that a message is delivered once more, up to `late` seconds later."""
    loss: float = Field(default=0, ge=0, lt=1)
    """Chance that a delivery is lost; the message comes again `late` seconds later, behind newer
    ones."""
    late: float = Field(default=5.0, gt=0)
    crash_every: float = Field(default=0, ge=0)
    """Mean seconds between crashes of each service; 0: none."""
    downtime: tuple[float, float] = (0.5, 20.0)
    node_death_every: float = Field(default=0, ge=0)
    """Mean seconds between sudden deaths of each node; 0: none."""
    repair: tuple[float, float] = (30.0, 600.0)
    """Seconds after which a dead node comes back, from and to."""


class Clock:
    """What happens next, and when."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._tie = itertools.count()

    def at(self, time: float, act: Callable[[], None]) -> None:
        """Do something at a time, or now if that is past."""
        heapq.heappush(self._heap, (max(time, self.now), next(self._tie), act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something in so many seconds."""
        self.at(self.now + seconds, act)

    def run(self, until: float, done: Callable[[], bool]) -> None:
        """Until nothing is left, a time is reached, or it is done."""
        while self._heap and not done():
            time, _, act = heapq.heappop(self._heap)
            if time > until:
                self.now = until
                return
            self.now = time
            act()


class Network:
    """Brings every event to whoever wants it, in order to each reader unless a fault says not."""

    def __init__(self, clock: Clock, rng: random.Random, faults: Faults) -> None:
        self.clock, self._rng, self._faults = clock, rng, faults
        self.watchers: list[Callable[[Sequence[Event], float], None]] = []
        """Told at once of everything that was written, a decision at a time."""
        self._readers: list[tuple[Wants, Callable[[str, Event], None], list[float]]] = []
        self._count = itertools.count()

    def subscribe(self, wants: Wants, receive: Callable[[str, Event], None]) -> None:
        """Bring events to a reader from now on."""
        self._readers.append((wants, receive, [0.0]))

    def publish(self, events: Sequence[Event], ids: Sequence[str] = ()) -> None:
        """Write events, all at once."""
        for watch in self.watchers:
            watch(events, self.clock.now)
        for event, id in zip(events, ids or [""] * len(events), strict=True):
            self._send(id or f"x{next(self._count)}", event)

    def _send(self, id: str, event: Event) -> None:
        faults, rng = self._faults, self._rng
        for wants, receive, last in self._readers:
            if not wants(event):
                continue
            deliver = _delivery(receive, id, event)
            if faults.loss and rng.random() < faults.loss:
                self.clock.after(rng.uniform(0, faults.late), deliver)
                continue
            last[0] = max(last[0], self.clock.now + rng.uniform(*faults.delay))
            self.clock.at(last[0], deliver)
            if faults.duplicate and rng.random() < faults.duplicate:
                self.clock.after(rng.uniform(0, faults.late), deliver)


def _delivery(receive: Callable[[str, Event], None], id: str, event: Event) -> Callable[[], None]:
    return lambda: receive(id, event)


class Service(Generic[S]):
    """One service: a decider, its journal, and what it has not heard while it was down.

    As `shoal_bus.host` does: a message that led to something is not decided on again, and after a
    crash the state is the fold of the journal.
    """

    def __init__(
        self,
        decider: Decider[S],
        network: Network,
        wants: Wants,
        on_commit: Callable[[Sequence[Event]], None] | None = None,
    ) -> None:
        self.decider, self.network, self.on_commit = decider, network, on_commit
        self.state: S = decider.initial()
        self.up = True
        self.decisions = 0
        self._journal: list[Event] = []
        self._causes: set[str] = set()
        self._missed: list[tuple[str, Any]] = []
        self._last: list[tuple[str, Any]] = []
        self._told = itertools.count()
        network.subscribe(wants, self.receive)

    def receive(self, id: str, body: Any) -> None:
        """A message, perhaps for the second time."""
        if not self.up:
            self._missed.append((id, body))
            return
        self._last = [*self._last[-3:], (id, body)]
        if id in self._causes:
            return
        clock = self.network.clock
        self.decisions += 1
        events = self.decider.decide(self.state, Message(id, clock.now, body))
        kept = [event for event in events if not isinstance(event, Refused)]
        self.state = settle(self.decider, self.state, events)
        if not kept:
            return
        self._causes.add(id)
        self._journal += kept
        ids = [event_id(self.decider.name, id, index) for index in range(len(kept))]
        self.network.publish(kept, ids)
        if self.on_commit is not None:
            self.on_commit(kept)

    def tell(self, body: BaseModel) -> None:
        """An answer of its shell."""
        self.receive(f"{self.decider.name}-told-{next(self._told)}", body)

    def tick(self) -> None:
        """Time passed."""
        if self.up:
            self.tell(Tick())

    def crash(self) -> None:
        """Forget everything but the journal."""
        self.up = False

    def restart(self) -> None:
        """Read the journal, hear the last messages once more, whose acknowledgements were lost,
        and then what was missed."""
        if self.up:
            return
        self.state = fold(self.decider, self.decider.initial(), self._journal)
        self.up = True
        missed, self._missed = [*self._last, *self._missed], []
        for id, body in missed:
            self.receive(id, body)
