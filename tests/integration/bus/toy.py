"""A decider that counts, which decides anew whatever it is asked twice: repetitions show."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from pydantic import BaseModel

from shoal_bus.bus import Bus
from shoal_bus.consume import Consumer
from shoal_bus.host import Host, Input
from shoal_contract import subjects
from shoal_contract.envelope import Envelope
from shoal_contract.events import Event, Refused
from shoal_decider import Message

BUG = 13


class Asked(Event, type="experiment.asked", key=("name",)):
    name: str
    count: int = 1


class Counted(Event, type="search.counted", key=("name",)):
    name: str
    index: int


class Add(BaseModel):
    name: str


class Counter:
    name = "counter"

    def initial(self) -> dict[str, list[int]]:
        return {}

    def decide(self, state: dict[str, list[int]], message: Message) -> Sequence[Event]:
        match message.body:
            case Asked(name=name, count=count) if count < 0:
                return [
                    Refused(decider=self.name, message_type="x", subject_id=name, reason="negative")
                ]
            case Asked(name=name, count=count):
                if count == BUG:
                    raise ValueError("a bug")
                return [Counted(name=name, index=i) for i in range(count)]
            case Add(name=name):
                return [Counted(name=name, index=-1)]
        return []

    def evolve(self, state: dict[str, list[int]], event: Event) -> dict[str, list[int]]:
        if isinstance(event, Counted):
            state.setdefault(event.name, []).append(event.index)
        return state

    def dump(self, state: dict[str, list[int]]) -> bytes:
        return json.dumps(state).encode()

    def load(self, data: bytes) -> dict[str, list[int]]:
        return dict(json.loads(data))


CounterHost = Host[dict[str, list[int]]]


def host_of(bus: Bus, **options: Any) -> CounterHost:
    inputs = [Input(subjects.EXPERIMENTS, [subjects.all_of("experiment.asked")])]
    return Host(bus, Counter(), subjects.SEARCH, inputs, **{"tick": 0.2, **options})


@contextlib.asynccontextmanager
async def running(*hosts: Host[Any]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(host.run()) for host in hosts]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def leads(host: Host[Any]) -> None:
    await asyncio.wait_for(host.leading.wait(), 20)


async def stored(bus: Bus, stream: subjects.Stream) -> list[Envelope]:
    """All that a stream holds now."""
    end = (await bus.js.stream_info(stream.name)).state.last_seq
    reader, found = Consumer(bus, stream, strict=True), []
    while reader.last < end:
        found += [delivery.envelope for delivery in await reader.fetch(2.0)]
    await reader.close()
    return found


async def counted(bus: Bus) -> dict[str, list[int]]:
    """The journal's fold."""
    decider, state = Counter(), {}
    for envelope in await stored(bus, subjects.SEARCH):
        state = decider.evolve(state, envelope.event)
    return state


async def journal_becomes(bus: Bus, expected: dict[str, list[int]], seconds: float = 30.0) -> None:
    """Wait for the journal's fold to be this; what a host's state shows may not be appended yet."""
    end = time.monotonic() + seconds
    while (found := await counted(bus)) != expected:
        assert time.monotonic() < end, found
        await asyncio.sleep(0.05)
