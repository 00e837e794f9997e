"""Fills the feed, and says who may read it, for people who connect to NATS themselves.

One replica at a time fills it. It reads the platform's streams in order, and keeps bookmarks of
what the feed's server has. So nothing is left out, whatever dies; what is told twice within ten
minutes is stored once.
"""

import asyncio
import contextlib
import logging
import secrets
import time

from redis.exceptions import RedisError

from shoal_bus.bookmark import bookmark, keep_bookmark
from shoal_bus.bus import AWAY
from shoal_bus.callout import Asked, Grant, Issuer, draw_issuer
from shoal_bus.cancelling import end, stop_if_cancelled
from shoal_bus.consume import Consumer
from shoal_bus.feed import WEEK, Feed
from shoal_bus.lease import Lease
from shoal_contract.envelope import Envelope
from shoal_contract.subjects import (
    EXPERIMENTS,
    REFUSED,
    RUNS,
    SCHEDULE,
    SEARCH,
    TRAINING,
    VALIDATION,
    Stream,
)
from shoal_gateway.core.feed import entry_of
from shoal_gateway.core.whose import experiment_in
from shoal_gateway.shell.parts import Parts
from shoal_gateway.shell.tokens import digest

log = logging.getLogger(__name__)

STREAMS = (EXPERIMENTS, SEARCH, SCHEDULE, RUNS, VALIDATION, TRAINING, REFUSED)
"""What is told: of it, what is of an experiment."""
NAME = "gateway-feed"
"""Of the lease, and of the bookmarks."""
PAUSE = 2.0
"""Seconds until what could not be told is tried again."""
KEEPING = 1.0
"""Seconds after which a bookmark is moved on: what came after it may be told again."""
MAKING = 1.0
"""Seconds to make streams for somebody who connects, whom the server refuses after two."""
UNTOLD = (RedisError, *AWAY)
"""Why something may not be told now."""


async def run(use: Parts) -> None:
    """Serve the feed until cancelled; if there is none, wait for the gateway's end.

    Raises FeedError if it would be the platform's own account, and IssuerError without a key.
    """
    settings = use.settings
    if not settings.feed_url:
        await use.stopping.wait()
        return
    issuer = Issuer(settings.feed_key.get_secret_value())
    feed = await Feed.connect(
        settings.feed_url, issuer, settings.feed_account, settings.feed_bytes, settings.replica
    )
    try:
        await feed.answer(lambda asked: admit(use, feed, asked))
        await Filler(use, feed).run()
    finally:
        await feed.close()


async def admit(use: Parts, feed: Feed, asked: Asked) -> Grant | None:
    """What somebody who connects to the feed may do; None: nothing. What may be read is there, be
    it empty."""
    found = entry_of(use.ledger.state, digest(asked.secret), time.time())
    if found is None:
        log.info("somebody at %s may not connect to the feed", asked.host)
        return None
    every = found.workspaces == ("*",)
    with contextlib.suppress(*AWAY):
        async with asyncio.timeout(MAKING):
            for workspace in list(use.ledger.state.workspaces) if every else found.workspaces:
                await feed.ensure(workspace)
    return Grant(found.name, found.publish, found.subscribe, found.expires_at)


def drawn() -> str:
    """New secrets, as lines of an environment file: the gateway's key and address, and what the
    feed's server is told of them."""
    seed, password = draw_issuer(), f"p{secrets.token_hex(24)}"  # NATS takes digits for a number
    return (
        f"SHOAL_FEED_KEY={seed}\n"
        f"SHOAL_FEED_ISSUER={Issuer(seed).public}\n"
        f"SHOAL_FEED_PASSWORD={password}\n"
        f"SHOAL_FEED_URL=nats://gateway:{password}@feed:4222\n"
    )


class Filler:
    """Tells the feed what happens."""

    def __init__(self, use: Parts, feed: Feed) -> None:
        self._use, self._feed = use, feed

    async def run(self) -> None:
        """Work until cancelled, whenever the lease is ours."""
        lease = Lease(self._use.bus, NAME, self._use.bus.settings.replica)
        while True:
            stop_if_cancelled()
            await lease.acquire()
            tasks = [asyncio.create_task(self._follow(stream)) for stream in STREAMS]
            lost = asyncio.create_task(_until(lease.lost))
            try:
                done, _ = await asyncio.wait([*tasks, lost], return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                await end([*tasks, lost])
                await lease.release()

    async def _follow(self, stream: Stream) -> None:
        """Tell of a stream, in its order; what could not be told now is told later."""
        while True:
            stop_if_cancelled()
            try:
                await self._repeat(stream)
            except UNTOLD as error:
                log.warning("%s does not reach the feed for a moment: %r", stream.name, error)
                await asyncio.sleep(PAUSE)

    async def _repeat(self, stream: Stream) -> None:
        """Tell what came after what was told, until something cannot be told. Raises one of
        UNTOLD."""
        bus, loop = self._use.bus, asyncio.get_running_loop()
        kept, at = loop.time(), await bookmark(bus, NAME, stream)
        consumer = Consumer(bus, stream, start=at + 1)
        try:
            while True:
                stop_if_cancelled()
                envelopes = [delivery.envelope for delivery in await consumer.fetch(KEEPING)]
                placed = [(await self._place(envelope), envelope) for envelope in envelopes]
                await self._feed.publish([(place, e) for place, e in placed if place])
                if consumer.last != at and loop.time() - kept >= KEEPING:
                    await keep_bookmark(bus, NAME, stream, consumer.last)
                    kept, at = loop.time(), consumer.last
        finally:
            await consumer.close()

    async def _place(self, envelope: Envelope) -> str | None:
        """The workspace that an event is told to; None: to none. Raises one of UNTOLD."""
        experiment_id = experiment_in(envelope.event)
        if experiment_id is None or _old(envelope):
            return None
        return await self._use.directory.home_of(experiment_id)


def _old(envelope: Envelope) -> bool:
    """Whether it would have left the feed by now."""
    return envelope.time < time.time() - WEEK


async def _until(event: asyncio.Event) -> None:
    await event.wait()
