"""How a stream's events get into Redis: as rows, or, where they are many, as metric points."""

import asyncio
from collections.abc import Sequence
from typing import Protocol, TypeVar

from shoal_bus.consume import Consumer
from shoal_contract.envelope import Envelope
from shoal_contract.events import MetricLogged, TrainingReported, ValidationReported
from shoal_contract.subjects import TRACKED, TRAINING, VALIDATION, Stream
from shoal_gateway.core.history.blocks import (
    Builder,
    Report,
    decode_logged,
    decode_reports,
    logged,
    reports_of,
)
from shoal_gateway.core.projections import project
from shoal_gateway.shell.recent import Recent
from shoal_gateway.shell.redis_store import RedisStore

T = TypeVar("T")
GROUPS = {VALIDATION.name: "validation", TRAINING.name: "training", TRACKED.name: "tracked"}
"""The group of a stream's reports that name none."""
LINGER = 0.01
"""Seconds for which points of MLflow's kind gather."""
Batch = list[tuple[int, T]]
"""What came, each with its sequence."""


class Target(Protocol[T]):
    """Reads a stream's events in the way in which it applies them."""

    batch: int
    """How many it takes at once."""

    async def fetch(self, consumer: Consumer, wait: float) -> Batch[T]:
        """What came; nothing if that is so for `wait` seconds."""
        ...

    async def apply(self, expected: int, new: int, batch: Sequence[tuple[int, T]]) -> int:
        """As `RedisStore.apply`."""
        ...


class Rows:
    """Any event, projected onto rows."""

    batch = 256

    def __init__(self, store: RedisStore, stream: Stream) -> None:
        self._store, self._stream = store, stream

    async def fetch(self, consumer: Consumer, wait: float) -> Batch[Envelope]:
        """The events with what is known about them."""
        return [(d.sequence, d.envelope) for d in await consumer.fetch(wait)]

    async def apply(self, expected: int, new: int, batch: Sequence[tuple[int, Envelope]]) -> int:
        """Carry out what the projections say."""
        changes = [change for _, envelope in batch for change in project(envelope)]
        return await self._store.apply(self._stream.name, expected, new, changes)


class Points:
    """Reports of metrics. While Redis holds more than `memory` bytes of them, none are read: they
    wait in their stream until files were written."""

    batch = 1024
    _apart = False

    def __init__(self, recent: Recent, stream: Stream, memory: int) -> None:
        self._recent, self._stream, self._memory = recent, stream, memory
        self._group = GROUPS[stream.name]
        self._looked = 0.0

    async def fetch(self, consumer: Consumer, wait: float) -> Batch[Report]:
        """The reports, of which only those are looked at closely that are not plain."""
        while await self._full():  # noqa: ASYNC110 -- another process frees it
            await asyncio.sleep(wait)
        found: Batch[Report] = []
        for msg in await consumer.take(wait):
            reports = self._decode(msg.data) if "ce-type" in (msg.headers or {}) else None
            if reports is None:
                delivery = await consumer.read(msg)
                reports = [] if delivery is None else self._of(delivery.envelope)
            sequence = msg.metadata.sequence.stream
            found += [(sequence, report) for report in reports]
        return found

    @staticmethod
    def _decode(body: bytes) -> list[Report] | None:
        """The reports in a message; None if it has to be looked at more closely."""
        return decode_reports(body)

    @staticmethod
    def _of(envelope: Envelope) -> list[Report]:
        """The reports that an event holds."""
        event = envelope.event
        if not isinstance(event, ValidationReported | TrainingReported):
            return []
        return reports_of(event.model_dump())

    async def apply(self, expected: int, new: int, batch: Sequence[tuple[int, Report]]) -> int:
        """Append a block for each experiment."""
        builder = Builder(self._group, apart=self._apart)
        for sequence, report in batch:
            builder.add(sequence, report)
        return await self._recent.append(self._stream, expected, new, builder.blocks())

    async def _full(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._looked < 0.5:
            return False
        sizes, _ = await self._recent.held(self._stream)
        if sum(sizes.values()) > self._memory:
            return True
        self._looked = now
        return False


class Logged(Points):
    """Metrics that programs logged through MLflow's API: one event has points of many steps. Those
    who ask wait until what was logged is there, so they are taken together for a moment."""

    _apart = True

    async def fetch(self, consumer: Consumer, wait: float) -> Batch[Report]:
        """As `Points` does, a little later."""
        await asyncio.sleep(LINGER)
        return await super().fetch(consumer, wait)

    @staticmethod
    def _decode(body: bytes) -> list[Report] | None:
        return decode_logged(body)

    @staticmethod
    def _of(envelope: Envelope) -> list[Report]:
        event = envelope.event
        if not isinstance(event, MetricLogged):
            return []
        return logged(event.experiment_id, event.run_id, event.points)
