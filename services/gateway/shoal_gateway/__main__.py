"""Puts the gateway together and runs it: the web server and the projector, side by side."""

import asyncio
import contextlib
from collections.abc import Iterator

import uvicorn

from shoal_bus.bus import Bus, BusSettings
from shoal_bus.service import run_service
from shoal_gateway.settings import Settings
from shoal_gateway.shell.app import create_app
from shoal_gateway.shell.bundles import Bundles
from shoal_gateway.shell.parts import Parts
from shoal_gateway.shell.projector import Projector
from shoal_gateway.shell.redis_store import RedisStore


class Server(uvicorn.Server):
    """A server that leaves signals to the service."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def main(settings: Settings) -> None:
    """Run until cancelled, or until a part fails."""
    bus = await Bus.connect(
        BusSettings(nats_url=settings.nats_url, service="gateway", replica=settings.replica)
    )
    store = RedisStore(settings.redis_url)
    projector = Projector(bus, store)
    bundles = Bundles(settings.storage_url, settings.max_bundle)
    parts = Parts(settings, bus, store, projector, bundles)
    server = Server(
        uvicorn.Config(
            create_app(parts),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )
    projecting = asyncio.create_task(projector.run())
    serving = asyncio.create_task(server.serve())
    try:
        done, _ = await asyncio.wait({projecting, serving}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        parts.stopping.set()
        server.should_exit = True
        projecting.cancel()
        await asyncio.gather(serving, projecting, return_exceptions=True)
        await store.close()
        await bus.close()


if __name__ == "__main__":
    settings = Settings()
    run_service(lambda: main(settings), "gateway", settings.replica)
