"""The ledger at work: its stream is followed into memory, and what is decided is appended to it.

Each replica of the gateway holds the whole state. A replica that writes says which event it
thinks is the stream's last; if another was faster, it catches up and decides again.
"""

import asyncio
import contextlib
import secrets
import time

from shoal_bus.append import FencedError, append
from shoal_bus.bus import AWAY, Bus
from shoal_bus.cancelling import stop_if_cancelled
from shoal_bus.consume import Consumer, Delivery
from shoal_contract.envelope import Envelope
from shoal_contract.events import Event
from shoal_contract.subjects import ACCESS
from shoal_gateway.core.ledger import Refusal, State, decide, evolve
from shoal_gateway.core.ledger.commands import Command
from shoal_gateway.core.ledger.done import Done
from shoal_gateway.shell.conditions import Check
from shoal_gateway.shell.problems import ProblemError
from shoal_gateway.shell.writes import wrote

_STATUS = {"unknown": 404, "conflict": 409, "denied": 403}


class Ledger:
    """The state as of the last event seen, and the way to change it."""

    def __init__(self, bus: Bus, patience: float) -> None:
        self.state = State()
        self._bus, self._patience = bus, patience
        self._consumer = Consumer(bus, ACCESS, strict=True)
        self.at = 0
        """The sequence of that event."""
        self._done = Done()
        self._moved = asyncio.Condition()
        self._writing = asyncio.Lock()

    async def begin(self) -> None:
        """Read all that is there; waits while the server is away."""
        while True:
            stop_if_cancelled()
            try:
                _, end = await self._bus.extent(ACCESS)
                break
            except AWAY:
                await asyncio.sleep(0.2)
        while self.at < end:
            stop_if_cancelled()
            await self._take(await self._consumer.fetch(1.0))

    async def run(self) -> None:
        """Follow the stream until cancelled. Raises BadMessageError for what cannot be read: with
        a part of the ledger unknown, nobody can be let in."""
        try:
            async for batch in self._consumer.batches():
                await self._take(batch)
        finally:
            with contextlib.suppress(*AWAY):
                await self._consumer.close()

    async def do(
        self, command: Command, id: str | None = None, *, when: Check | None = None
    ) -> list[Event]:
        """Carry a command out; returns its events once the state holds them. A command that comes
        again under its `id` returns the events of the first time. `when` raises what keeps it from
        being carried out in the state that there is then.

        Raises ProblemError if it is refused, and TimeoutError or one of AWAY if NATS does not
        answer: then it may have been carried out.
        """
        id = id or f"access-{secrets.token_hex(8)}"
        async with asyncio.timeout(self._patience), self._writing:
            while True:
                stop_if_cancelled()
                if (before := self._done.of(id)) is not None:
                    wrote(ACCESS, self.at)
                    return before
                if when is not None:
                    when()
                found = decide(self.state, command)
                if isinstance(found, Refusal):
                    kind = f"urn:shoal:problem:{found.kind}"
                    raise ProblemError(_STATUS[found.kind], found.detail, kind=kind)
                envelopes = [self._envelope(id, n, event) for n, event in enumerate(found)]
                try:
                    await self._reach(await append(self._bus, ACCESS, envelopes, self.at))
                except FencedError:
                    await self._reach((await self._bus.extent(ACCESS))[1])
                    continue
                wrote(ACCESS, self.at)
                return found

    async def wait_for(self, sequence: int, seconds: float) -> bool:
        """Wait until the state holds an event; False if it does not within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._reach(sequence)
        except TimeoutError:
            return False
        return True

    def _envelope(self, id: str, number: int, event: Event) -> Envelope:
        return Envelope(
            id=f"{id}-{number}", source=self._bus.source, time=time.time(), event=event, cause=id
        )

    async def _take(self, batch: list[Delivery]) -> None:
        async with self._moved:
            for delivery in batch:
                if delivery.sequence <= self.at:  # the stream began anew
                    self.state, self._done = State(), Done()
                self.state = evolve(self.state, delivery.envelope.event)
                self.at = delivery.sequence
                self._done.add(delivery.envelope)
            self._moved.notify_all()

    async def _reach(self, sequence: int) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self.at >= sequence)
