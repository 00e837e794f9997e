"""What the routes work with, put together once."""

import asyncio
from dataclasses import dataclass, field

from fastapi import Request

from shoal_bus.bus import Bus
from shoal_gateway.settings import Settings
from shoal_gateway.shell.bundles import Bundles
from shoal_gateway.shell.projector import Projector
from shoal_gateway.shell.redis_store import RedisStore


@dataclass(frozen=True, slots=True)
class Parts:
    """The gateway's connections."""

    settings: Settings
    bus: Bus
    store: RedisStore
    projector: Projector
    bundles: Bundles
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the gateway ends: whoever watches events is to connect to another."""


def parts(request: Request) -> Parts:
    """The parts of the application that a request came to."""
    found: Parts = request.app.state.parts
    return found
