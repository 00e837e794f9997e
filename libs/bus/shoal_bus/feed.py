"""The feed: events for people who connect to NATS themselves, at a server, or in an account, of
its own. There is a stream for each workspace, and nothing else.

Only what comes under a subject that nobody else knows gets into a stream, which stores it under the
subject that people know. For whoever may ask JetStream anything can have its answer sent to any
subject of the account (https://github.com/nats-io/nats-server/issues/8274); so whoever reads one
workspace's stream must not be able to write to another's.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

from shoal_bus.bus import note_error
from shoal_bus.callout import Asked, Grant, Issuer, answer
from shoal_bus.cancelling import stop_if_cancelled
from shoal_contract.envelope import Envelope
from shoal_contract.subjects import (
    EXPERIMENTS,
    FEED,
    feed_stream,
    feed_subject,
    feed_subjects,
)

log = logging.getLogger(__name__)

DAY = 86400.0
WEEK = 7 * DAY
"""Seconds for which an event is in the feed."""
WINDOW = 600.0
"""Seconds within which an event that comes again is recognised."""
INACTIVE = 300.0
"""Seconds after which a reader of a stream that is not there any more is forgotten."""
READERS = 1000
"""Of one workspace."""
ANSWER = 5.0
"""Seconds to wait for the server to have what was sent."""
_EXISTS = 10058
"""JetStream's code for a stream that exists with another configuration."""


class FeedError(RuntimeError):
    """The feed's address leads to where the platform's own streams are."""


class NotTakenError(NatsError):
    """The server did not confirm everything."""


class _Answers:
    """The server's confirmations of what was sent: none is waited for by itself."""

    def __init__(self) -> None:
        self._count, self._error = 0, ""
        self._moved = asyncio.Event()

    async def take(self, msg: Msg) -> None:
        answer = json.loads(msg.data) if msg.data else {"error": "there is no such stream"}
        self._count += 1
        self._error = self._error or str(answer.get("error", ""))
        self._moved.set()

    async def wait(self, count: int) -> None:
        """Return when all have come. Raises NotTakenError if one says that something is wrong."""
        while self._count < count and not self._error:
            self._moved.clear()
            await self._moved.wait()
        if self._error:
            raise NotTakenError(self._error)


@dataclass(slots=True)
class Feed:
    """The line to the server of the feed."""

    nc: Client
    js: JetStreamContext
    issuer: Issuer
    account: str
    """The name of its account there; `$G` where there are no others."""
    max_bytes: int
    """Of one workspace's stream; the oldest events leave it first."""
    _made: set[str] = field(default_factory=set)

    @classmethod
    async def connect(
        cls, url: str, issuer: Issuer, account: str, max_bytes: int, name: str
    ) -> "Feed":
        """Connect, trying for ever.

        Raises FeedError if the account is the platform's own.
        """
        while True:
            stop_if_cancelled()
            nc: Client | None = None
            try:
                nc = await nats.connect(
                    url,
                    name=name,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.2,
                    connect_timeout=2,
                    error_cb=note_error,
                )
                feed = cls(nc, nc.jetstream(timeout=ANSWER), issuer, account, max_bytes)
                await feed.check()
                return feed
            except (OSError, NatsError) as error:
                log.warning("the feed's NATS is not ready (%r); trying again", error)
                if nc is not None:
                    await nc.close()
                await asyncio.sleep(1.0)
            except BaseException:
                if nc is not None:
                    await nc.close()
                raise

    async def check(self) -> None:
        """See to it that this is an account for people: whoever sees all workspaces may read all of
        its streams. Raises FeedError, or what is raised while the server is away."""
        try:
            await self.js.stream_info(EXPERIMENTS.name)
        except NotFoundError:
            return
        raise FeedError(
            "SHOAL_FEED_URL leads to the account that holds the platform's own streams;"
            " give the feed a server or an account of its own"
        )

    async def close(self) -> None:
        """Close the connection, whether or not the server is there."""
        with contextlib.suppress(NatsError, OSError):
            await self.nc.close()

    async def answer(self, decide: Callable[[Asked], Awaitable[Grant | None]]) -> None:
        """Tell the server from now on who may connect to it, and to do what."""
        await answer(self.nc, self.issuer, self.account, decide)

    async def publish(self, events: Sequence[tuple[str, Envelope]]) -> None:
        """Put events into their workspaces' streams, in this order; returns when they are there.

        Raises one of AWAY if some may not be: to be repeated, which makes nothing come twice
        within ten minutes.
        """
        if not events:
            return
        for workspace in {workspace for workspace, _ in events}:
            await self.ensure(workspace)
        answers = _Answers()
        inbox = self.nc.new_inbox()
        subscription = await self.nc.subscribe(inbox, cb=answers.take)
        try:
            sent = sum([await self._send(workspace, e, inbox) for workspace, e in events])
            async with asyncio.timeout(ANSWER):
                await answers.wait(sent)
        except TimeoutError as error:
            raise NotTakenError("the feed's server did not answer in time") from error
        except NotTakenError:
            self._made.clear()  # perhaps a stream is gone
            raise
        finally:
            with contextlib.suppress(NatsError, OSError):
                await subscription.unsubscribe()

    async def _send(self, workspace: str, envelope: Envelope, inbox: str) -> bool:
        """Send an event, to be confirmed to `inbox`; False if it is too large ever to be sent."""
        subject = feed_subject(workspace, envelope.event)
        hidden = self._entry(workspace) + subject.removeprefix(f"{FEED}.{workspace}")
        body, headers = envelope.body(), dict(envelope.headers())
        try:
            await self.nc.publish(hidden, body, reply=inbox, headers=headers)
        except MaxPayloadError:
            log.error("%s is too large for the feed's server: %d bytes", envelope.id, len(body))
            return False
        return True

    async def ensure(self, workspace: str) -> None:
        """Have a stream for a workspace. Raises one of AWAY."""
        if workspace in self._made:
            return
        config = self._config(workspace)
        try:
            await self.js.add_stream(config)
        except APIError as error:
            if error.err_code != _EXISTS:
                raise
            await self.js.update_stream(config)
        self._made.add(workspace)

    def _entry(self, workspace: str) -> str:
        """What the subjects begin with under which a stream takes events."""
        return f"in.{self.issuer.derived(f'shoal feed {workspace}')}"

    def _config(self, workspace: str) -> api.StreamConfig:
        shown = feed_subjects(workspace)
        return api.StreamConfig(
            name=feed_stream(workspace),
            description=f"events of the workspace {workspace}",
            subjects=[f"{self._entry(workspace)}.>"],
            subject_transform=api.SubjectTransform(src=f"{self._entry(workspace)}.>", dest=shown),
            republish=api.RePublish(src=shown, dest=shown),
            max_age=WEEK,
            max_bytes=self.max_bytes,
            max_consumers=READERS,
            consumer_limits=api.StreamConsumerLimits(inactive_threshold=INACTIVE),
            duplicate_window=WINDOW,
        )
