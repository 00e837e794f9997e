"""Read models made anew from the streams, while the old ones go on being read and kept in step.

One transaction in Redis lets the new ones be read, with the files that go with them. Who dies
before leaves reads as they were. What is left to do after it is done by the gateways, and by the
next rebuilding.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator

from redis.exceptions import RedisError

from shoal_bus.bus import LEASE_TTL, Bus, BusError, BusSettings, StreamMismatchError
from shoal_bus.cancelling import end
from shoal_bus.lease import Lease
from shoal_gateway.core.belongings import POINT_STREAMS
from shoal_gateway.settings import Settings
from shoal_gateway.shell.history_files import Files
from shoal_gateway.shell.history_writer import HistoryWriter
from shoal_gateway.shell.projector import LOOK, Projector
from shoal_gateway.shell.redis_store import RedisStore

log = logging.getLogger(__name__)

GRACE = 3 * LOOK
"""Seconds within which every gateway has gone over to the new read models."""
ANSWER = 10.0
"""Seconds within which NATS answers at first."""
STALLED = 60.0
"""Seconds after which nothing will come any more, if nothing came."""


class RebuildError(RuntimeError):
    """The read models could not be rebuilt; the text says why."""


class UntidyError(RuntimeError):
    """They were, but what comes after failed; the next rebuilding does it."""


async def rebuild(settings: Settings, *, files_too: bool = False) -> int:
    """Fill the next generation of read models, let it be read, and forget all others.

    `files_too`: write the files of metric points anew as well; the old ones stay in storage.
    Returns the generation that is read now. Raises RebuildError, or what a part of it raised first;
    UntidyError once the new generation is read.
    """
    old, new = RedisStore(settings.redis_url), RedisStore(settings.redis_url)
    is_read = False
    try:
        async with _bus(settings) as bus, _alone(bus) as lost:
            old.generation = await old.current()
            new.generation = old.generation + 1
            await old.clear_others()  # what an earlier attempt left
            await _complete(settings, old)
            files = Files(settings.storage_url, anew=files_too)
            async with _filled(settings, bus, new, files, lost):
                await new.make_current(files.unread)
                is_read = True
                log.info("generation %d is read now", new.generation)
                await asyncio.to_thread(files.switch)
                await asyncio.sleep(GRACE)
            await new.clear_others()
    except Exception as error:
        if is_read:
            raise UntidyError(str(error)) from error
        raise
    finally:
        for store in (old, new):
            await store.close()
    return new.generation


async def _complete(settings: Settings, store: RedisStore) -> None:
    """Let storage say what the read models say, if an earlier attempt died before it did."""
    files = Files(settings.storage_url)
    for stream in POINT_STREAMS:
        await asyncio.to_thread(files.follow, stream, await store.folder(stream.name))


@contextlib.asynccontextmanager
async def _filled(
    settings: Settings, bus: Bus, new: RedisStore, files: Files, lost: asyncio.Event
) -> AsyncIterator[None]:
    """Read models that hold all there is, and are kept in step. Raises what a part raised first."""
    memory = settings.metrics_memory
    projector = Projector(bus, new, files, memory=memory, watch=False)
    # It waits for no lease: the gateway that has it looks after the points of the old generation.
    writer = HistoryWriter(bus, new, files, seconds=settings.metrics_seconds, memory=memory)
    try:
        async with asyncio.TaskGroup() as group:
            parts = (projector.run(), writer.work(asyncio.Event()), _fail_when(lost))
            work = [group.create_task(part) for part in parts]
            await _caught_up(projector)
            yield
            await end(work)
    except BaseExceptionGroup as error:
        raise _first(error) from error
    finally:
        writer.close()
        files.close()


async def _caught_up(projector: Projector) -> None:
    """Wait until the end of all streams was reached. Raises RebuildError if nothing moves."""
    loop = asyncio.get_running_loop()
    seen, since = -1, loop.time()
    while not projector.ready:
        if (now := sum(projector.applied.values())) != seen:
            seen, since = now, loop.time()
        elif loop.time() - since > STALLED:
            raise RebuildError(
                f"Nothing was read for {STALLED:g} s, and not all is: see the warnings above."
            )
        await asyncio.sleep(LOOK / 10)


async def _fail_when(lost: asyncio.Event) -> None:
    await lost.wait()
    raise RebuildError("NATS was away for too long: another rebuilding may have begun.")


@contextlib.asynccontextmanager
async def _bus(settings: Settings) -> AsyncIterator[Bus]:
    name = f"{settings.replica}-rebuild"
    where = BusSettings(nats_url=settings.nats_url, service="gateway", replica=name)
    try:
        async with asyncio.timeout(ANSWER):
            bus = await Bus.connect(where)
    except TimeoutError as error:
        raise RebuildError(f"NATS does not answer at {settings.nats_url}.") from error
    try:
        yield bus
    finally:
        await bus.close()


@contextlib.asynccontextmanager
async def _alone(bus: Bus) -> AsyncIterator[asyncio.Event]:
    """As the only rebuilding there is; yields what is set when that is no longer sure."""
    lease = Lease(bus, "gateway-rebuild", f"{bus.settings.replica}-{secrets.token_hex(4)}")
    try:
        async with asyncio.timeout(2 * LEASE_TTL):
            await lease.acquire()
    except TimeoutError as error:
        raise RebuildError("Another rebuilding is under way: wait until it has ended.") from error
    try:
        yield lease.lost
    finally:
        await lease.release()


def _first(group: BaseException) -> BaseException:
    """The first that went wrong of several."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


async def main(settings: Settings, *, files_too: bool) -> None:
    """As `rebuild`, and say what came of it: exits with 1 and a sentence if it is not done."""
    try:
        generation = await rebuild(settings, files_too=files_too)
    except asyncio.CancelledError:
        raise SystemExit("The read models were not rebuilt: it was told to stop.") from None
    except Exception as error:
        raise SystemExit(_sentence(error)) from error
    print(f"The read models were rebuilt: generation {generation} is read now.")


def _sentence(error: Exception) -> str:
    match error:
        case UntidyError():
            return f"The read models were rebuilt, but the old ones are still there: {error}"
        case RebuildError() | StreamMismatchError():
            why = str(error)
        case RedisError():
            why = f"Redis does not answer: {error}"
        case OSError() | BusError():
            why = f"NATS or the storage does not answer: {error}"
        case _:
            log.error("this is a bug", exc_info=error)
            why = repr(error)
    return f"The read models were not rebuilt: {why}"
