"""What the routes work with, put together once."""

import asyncio
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from shoal_bus.bus import Bus
from shoal_bus.sealing import Seal
from shoal_contract.events import Event
from shoal_contract.subjects import stream_of
from shoal_gateway.settings import Settings
from shoal_gateway.shell.artifacts import Artifacts
from shoal_gateway.shell.bundles import Bundles
from shoal_gateway.shell.directory import Directory
from shoal_gateway.shell.history_reader import HistoryReader
from shoal_gateway.shell.ledger import Ledger
from shoal_gateway.shell.measures import Measures
from shoal_gateway.shell.oidc import Provider
from shoal_gateway.shell.projector import Projector
from shoal_gateway.shell.redis_store import RedisStore
from shoal_gateway.shell.sse import Readers
from shoal_gateway.shell.writes import wrote


@dataclass(frozen=True, slots=True)
class Parts:
    """The gateway's connections."""

    settings: Settings
    bus: Bus
    store: RedisStore
    projector: Projector
    bundles: Bundles
    artifacts: Artifacts
    ledger: Ledger
    directory: Directory
    history: HistoryReader
    provider: Provider | None
    seal: Seal | None
    measures: Measures = field(default_factory=Measures)
    readers: Readers = field(default_factory=Readers)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the gateway ends: whoever watches events is to connect to another."""

    async def publish(
        self, event: Event, id: str, after: int | None = None, among: str | None = None
    ) -> int:
        """Publish an event; returns its sequence. Raises TimeoutError if NATS does not answer,
        and with `after` what `Bus.publish` raises."""
        async with asyncio.timeout(self.settings.publish_timeout):
            sequence = await self.bus.publish(event, id=id, after=after, among=among)
        wrote(stream_of(event.type), sequence)
        return sequence


async def parts(connection: HTTPConnection) -> Parts:
    """The parts of the application that a request or a WebSocket came to."""
    found: Parts = connection.app.state.parts
    return found
