"""What the routes work with, put together once."""

from dataclasses import dataclass

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


def parts(request: Request) -> Parts:
    """The parts of the application that a request came to."""
    found: Parts = request.app.state.parts
    return found
