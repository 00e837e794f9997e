"""One open pull on a JetStream consumer: messages arrive as they are stored, none is polled for.

nats-py's `fetch` waits for a whole batch or its timeout; here a request stays open on the server,
is topped up when half of it is used, and heartbeats tell a quiet stream from a lost consumer.
"""

import asyncio
import json
import time
from collections import deque

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

HEARTBEAT = 3.0
"""Seconds between the server's signs of life: one that is away shows sooner, by the connection."""
EXPIRES = 30.0
"""Seconds that a request for messages stays open."""
HELD = 4
"""Batches that may lie here unread before no more are asked for."""


class Pull:
    """Messages of one consumer, in the order in which the server sends them."""

    def __init__(self, nc: Client, stream: str, consumer: str, batch: int) -> None:
        self._nc = nc
        self.consumer = consumer
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._batch = batch
        self._inbox = nc.new_inbox()
        self._subscription: Subscription | None = None
        self._asked = 0
        self._arrived = asyncio.Event()
        self.heard = time.time()
        """When the server was last heard to serve this consumer, in Unix seconds."""
        self._expecting = time.monotonic()
        self._reconnects = nc.stats["reconnects"]
        self._refused = ""
        self.messages: deque[Msg] = deque()
        self.taken = 0
        """How many messages `take` returned."""

    async def open(self) -> None:
        """Subscribe and ask for the first batch."""
        self._subscription = await self._nc.subscribe(self._inbox, cb=self._receive)
        await self._ask(self._batch)

    @property
    def lost(self) -> str:
        """Why this pull is of no more use; empty while it is."""
        if self._refused:
            return self._refused
        if self._nc.stats["reconnects"] != self._reconnects:
            return "reconnected"
        if self._nc.is_connected and time.monotonic() - self._expecting > 2.5 * HEARTBEAT:
            return "no heartbeat"
        return ""

    async def wait(self, seconds: float) -> None:
        """Return when a message is there, the pull is lost, or the time is over."""
        if self.messages or self.lost:
            return
        self._arrived.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return

    def take(self, count: int) -> list[Msg]:
        """What has arrived, `count` messages at most."""
        found = [self.messages.popleft() for _ in range(min(count, len(self.messages)))]
        self.taken += len(found)
        return found

    def wake(self) -> None:
        """Let `wait` return: the pull may be lost."""
        self._arrived.set()

    async def refill(self) -> None:
        """Ask for more, unless half of it is still to come, or enough lies here unread."""
        enough = self._asked > self._batch // 2 or len(self.messages) >= HELD * self._batch
        if enough or self._refused:
            return
        if self._asked <= 0:  # nobody was to be heard meanwhile
            self._expecting = time.monotonic()
        await self._ask(self._batch - max(0, self._asked))

    async def close(self) -> None:
        """Ask for nothing more."""
        if self._subscription is not None and not self._nc.is_closed:
            await self._subscription.unsubscribe()

    async def _ask(self, count: int) -> None:
        self._asked += count
        request = {
            "batch": count,
            "expires": int(EXPIRES * 1e9),
            "idle_heartbeat": int(HEARTBEAT * 1e9),
        }
        await self._nc.publish(self._subject, json.dumps(request).encode(), self._inbox)

    async def _receive(self, msg: Msg) -> None:
        self._expecting = time.monotonic()
        status = (msg.headers or {}).get("Status")
        if msg.reply:  # where to acknowledge: only what a stream holds has one
            self.messages.append(msg)
            self._asked -= 1
        elif status == "408":
            self._asked -= int((msg.headers or {}).get("Nats-Pending-Messages", self._asked))
        elif status != "100":
            description = (msg.headers or {}).get("Description", "")
            self._refused = f"{status} {description}"
        if not self._refused:
            self.heard = time.time()
        await self.refill()
        if status != "100":  # a heartbeat is no news
            self._arrived.set()
