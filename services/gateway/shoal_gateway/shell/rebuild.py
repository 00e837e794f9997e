"""Read models made anew from the streams, while the old ones go on being read and kept in step."""

import asyncio
import logging

from redis.exceptions import RedisError

from shoal_bus.bus import Bus, BusSettings
from shoal_gateway.core import keys
from shoal_gateway.settings import Settings
from shoal_gateway.shell.history_files import Files
from shoal_gateway.shell.history_writer import HistoryWriter
from shoal_gateway.shell.projector import LOOK, Projector
from shoal_gateway.shell.redis_store import RedisStore

log = logging.getLogger(__name__)

GRACE = 6 * LOOK
"""Seconds within which every gateway has gone over to the new read models."""


async def rebuild(settings: Settings, *, files_too: bool = False) -> int:
    """Fill the next generation of read models, let it be read, and forget the last one.

    `files_too`: write the files of metric points anew as well; the old ones stay in storage.
    Returns the generation that is read now. What ends this half-way leaves reads as they were.
    """
    name = f"{settings.replica}-rebuild"
    bus = await Bus.connect(
        BusSettings(nats_url=settings.nats_url, service="gateway", replica=name)
    )
    old = RedisStore(settings.redis_url)
    old.generation = await old.current()
    new = RedisStore(settings.redis_url, old.generation + 1)
    try:
        await new.clear()  # what an earlier attempt left
        files = Files(settings.storage_url, anew=files_too)
        memory = settings.metrics_memory
        projector = Projector(bus, new, files, memory=memory, watch=False)
        # No lease: the gateway that has it looks after the points of the old generation.
        writer = HistoryWriter(bus, new, files, seconds=settings.metrics_seconds, memory=memory)
        filling = asyncio.create_task(projector.run())
        writing = asyncio.create_task(writer.work(asyncio.Event()))
        while not projector.ready:
            done, _ = await asyncio.wait({filling, writing}, timeout=LOOK)
            for task in done:
                task.result()
        await asyncio.to_thread(files.switch)
        await new.redis.set(keys.GENERATION, new.generation)
        log.info("generation %d is read now", new.generation)
        await asyncio.sleep(GRACE)
        for task in (filling, writing):
            task.cancel()
        await asyncio.gather(filling, writing, return_exceptions=True)
        writer.close()
        await old.clear()
    finally:
        for store in (old, new):
            await store.close()
        await bus.close()
    return new.generation


async def main(settings: Settings, *, files_too: bool) -> None:
    """As `rebuild`, and say what came of it. Exits with 1 if Redis does not answer."""
    try:
        generation = await rebuild(settings, files_too=files_too)
    except RedisError as error:
        raise SystemExit(f"Redis does not answer: {error}") from error
    print(f"The read models were rebuilt: generation {generation} is read now.")
