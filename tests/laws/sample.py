"""A small lawful decider, and unlawful ones: do the laws tell them apart?"""

import json
from collections.abc import Sequence
from typing import Any

from shoal_contract.events import Event
from shoal_decider import Message, Tick


class SampleOpened(Event, type="search.sample-opened", key=("door",)):
    door: str


class SampleAsked(Event, type="experiment.sample-asked", key=("door",)):
    door: str


class Doors:
    """Opens each door once."""

    name = "doors"

    def initial(self) -> dict[str, int]:
        return {}

    def decide(self, state: dict[str, int], message: Message) -> Sequence[Event]:
        match message.body:
            case SampleAsked(door=door) if door not in state:
                return [SampleOpened(door=door)]
            case Tick() | _:
                return []

    def evolve(self, state: dict[str, int], event: Event) -> dict[str, int]:
        if isinstance(event, SampleOpened):
            state[event.door] = len(state)
        return state

    def dump(self, state: dict[str, int]) -> bytes:
        return json.dumps(state).encode()

    def load(self, data: bytes) -> dict[str, int]:
        return dict(json.loads(data))


class Forgetful(Doors):
    """Decides anew."""

    def decide(self, state: dict[str, int], message: Message) -> Sequence[Event]:
        body: Any = message.body
        return [SampleOpened(door=body.door)] if isinstance(body, SampleAsked) else []


class Hashing(Doors):
    """Lets the order of a set into its log."""

    def decide(self, state: dict[str, int], message: Message) -> Sequence[Event]:
        if not isinstance(message.body, SampleAsked) or state:
            return []
        return [SampleOpened(door=door) for door in {"a", "b", "c", "d", "e", "f"}]


class Meddling(Doors):
    """Changes the state while it decides."""

    def decide(self, state: dict[str, int], message: Message) -> Sequence[Event]:
        state["meddled"] = len(state)
        return super().decide(state, message)
