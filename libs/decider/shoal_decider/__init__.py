"""The shape of a decision (Jérémie Chassaing's decider, https://thinkbeforecoding.com/post/2021/12/17/functional-event-sourcing-decider).

Three pure functions: `initial() -> State`, `decide(state, message) -> [Event]`,
`evolve(state, event) -> State`. No I/O, no clock, no chance. The same decider runs on NATS
(`shoal_bus.host`), in the simulator and in property tests.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pydantic import BaseModel

from shoal_contract.events import Event, Refused

S = TypeVar("S")
M = TypeVar("M", bound=BaseModel)
Told = BaseModel
"""A message's body: an event of another service, a Tick, or an answer from the shell."""


class Tick(BaseModel, frozen=True):
    """Time passed. `Message.now` says what time it is."""


@dataclass(frozen=True, slots=True)
class Message:
    """Something to decide on. `now` (Unix seconds) is when it is decided: time is an input."""

    id: str
    now: float
    body: Told


class Decided(list[Event], Generic[S]):
    """Events whose effect their decider worked out already, on a copy of the state."""

    def __init__(self, events: Iterable[Event], settle: Callable[[], S]) -> None:
        super().__init__(events)
        self.settle = settle
        """The state after all of them. It may change the state that was decided on, which must be
        as it was then."""


class Decider(Protocol[S]):
    """What a host needs to run a service's core."""

    name: str
    """The service, e.g. `scheduler`; part of the ids of what it decides."""

    def initial(self) -> S:
        """The state before any event."""
        ...

    def decide(self, state: S, message: Message) -> Sequence[Event]:
        """What follows from one message. Reads `state` only; raises never for bad input."""
        ...

    def evolve(self, state: S, event: Event) -> S:
        """The state after an event. May change `state` in place; the caller forgets the old one."""
        ...

    def dump(self, state: S) -> bytes:
        """The state as JSON, for a snapshot."""
        ...

    def load(self, data: bytes) -> S:
        """The state from a snapshot."""
        ...


class ModelState(Generic[M]):
    """The part of a decider that is the same for all whose state is a pydantic model."""

    model: type[M]

    def initial(self) -> M:
        """The model with its defaults."""
        return self.model()

    def dump(self, state: M) -> bytes:
        """The state as JSON."""
        return state.model_dump_json().encode()

    def load(self, data: bytes) -> M:
        """The state from JSON."""
        return self.model.model_validate_json(data)


def fold(decider: Decider[S], state: S, events: Iterable[Event]) -> S:
    """The state after `events`."""
    for event in events:
        state = decider.evolve(state, event)
    return state


def settle(decider: Decider[S], state: S, events: Sequence[Event]) -> S:
    """The state after all that a decider has just decided on it; refusals change nothing."""
    if isinstance(events, Decided):
        after: S = events.settle()
        return after
    return fold(decider, state, (e for e in events if not isinstance(e, Refused)))


@dataclass(slots=True)
class Runner(Generic[S]):
    """A decider and its state, with nothing else: for tests and the simulator."""

    decider: Decider[S]
    state: S

    @classmethod
    def of(cls, decider: Decider[S]) -> "Runner[S]":
        """A runner at the beginning."""
        return cls(decider, decider.initial())

    def tell(self, message: Message) -> list[Event]:
        """Decide on a message, change the state, and return what was decided."""
        events = self.decider.decide(self.state, message)
        self.state = settle(self.decider, self.state, events)
        return list(events)
