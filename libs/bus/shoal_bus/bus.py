"""The connection to NATS, the streams, and publishing."""

import asyncio
import contextlib
import logging
import time as clock
from dataclasses import dataclass, field
from weakref import WeakSet

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError
from nats.js.kv import KeyValue
from pydantic import BaseModel, Field

from shoal_bus.cancelling import stop_if_cancelled
from shoal_bus.pull import Pull
from shoal_bus.tracing import traceparent
from shoal_contract.envelope import Envelope, decode
from shoal_contract.events import Event
from shoal_contract.subjects import STREAMS, Stream, stream_of, subject_of

log = logging.getLogger(__name__)

BusError = NatsError
"""What NATS or its server says went wrong."""
AWAY = (BusError, OSError)
"""What is raised while the server is away."""
LEASES = "shoal_leases"
SNAPSHOTS = "shoal_snapshots"
REQUESTS = "shoal_requests"
"""What requests with an `Idempotency-Key` were answered, for a day."""
LEASE_TTL = 3.0
"""Seconds after which a lease that is not renewed is free."""
AMONG = "Nats-Expected-Last-Subject-Sequence-Subject"
"""The header that says of which subjects the last message is meant."""
REQUEST_TTL = 86400.0
WRONG_LAST_SEQUENCE = 10071
"""JetStream's error code: https://github.com/nats-io/nats-server/blob/main/server/errors.json."""
MAX_CONSUMERS = 100_000
"""Readers of one stream. A server's own default is 1,000, and each worker is one."""
ROOM = 256
"""Bytes of a message for what the client adds to it."""
DUPLICATE_WINDOW = 120.0
"""Seconds within which the server recognises a message id."""


class ConflictError(RuntimeError):
    """Another message came under the subject, since its last one was looked up."""


class TooLargeError(ValueError):
    """An event is larger than what the server takes; the text says both sizes."""


class StreamMismatchError(RuntimeError):
    """A stream of this name exists with other subjects; the text names both."""


class BusSettings(BaseModel):
    """Who connects, and where."""

    nats_url: str = "nats://127.0.0.1:4222"
    service: str
    replica: str
    token: str = Field(default="", repr=False)
    """What the server wants to be shown; empty: nothing."""


@dataclass(slots=True)
class Bus:
    """One service's line to everyone else."""

    settings: BusSettings
    nc: Client
    js: JetStreamContext
    pulls: "WeakSet[Pull]" = field(default_factory=WeakSet)
    """What reads here: the server forgets what these asked for when the connection breaks."""
    _buckets: dict[str, KeyValue] = field(default_factory=dict)

    @classmethod
    async def connect(cls, settings: BusSettings) -> "Bus":
        """Connect, trying for ever, and make sure that the streams and buckets exist.

        Raises StreamMismatchError if a stream of ours has other subjects than the contract says.
        """
        pause = 0.1
        nc: Client | None = None
        pulls: WeakSet[Pull] = WeakSet()

        async def wake() -> None:
            for pull in pulls:
                pull.wake()

        while True:
            stop_if_cancelled()
            try:
                nc = await nats.connect(
                    settings.nats_url,
                    name=settings.replica,
                    token=settings.token or None,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.2,
                    allow_reconnect=True,
                    connect_timeout=2,
                    pending_size=64 * 1024 * 1024,
                    error_cb=note_error,
                    reconnected_cb=wake,
                )
                bus = cls(settings, nc, nc.jetstream(timeout=2), pulls)
                await bus.ensure()
                return bus
            except StreamMismatchError:
                await bus.close()
                raise
            except (OSError, NatsError) as error:
                if nc is not None:
                    await nc.close()
                log.warning("NATS at %s is not ready (%r); trying again", settings.nats_url, error)
                await asyncio.sleep(pause)
                pause = min(2.0, pause * 2)

    async def close(self) -> None:
        """Close the connection, flushing what was written."""
        if not self.nc.is_closed:
            try:
                await asyncio.wait_for(self.nc.drain(), 2)
            except (NatsError, TimeoutError):
                with contextlib.suppress(RuntimeError):  # uvloop's, if the server is away
                    await self.nc.close()

    @property
    def source(self) -> str:
        """The CloudEvents source of what is published here."""
        return f"/shoal/{self.settings.service}/{self.settings.replica}"

    async def ensure(self) -> None:
        """Make the streams and buckets that are missing; a memory stream is after a restart."""
        for stream in STREAMS:
            await self._ensure_stream(stream)
        for bucket, ttl in ((LEASES, LEASE_TTL), (SNAPSHOTS, None), (REQUESTS, REQUEST_TTL)):
            try:
                await self.js.key_value(bucket)
            except NotFoundError:
                await self.js.create_key_value(
                    api.KeyValueConfig(bucket=bucket, ttl=ttl, history=1)
                )

    async def mend(self) -> None:
        """As `ensure`, as far as it goes now."""
        try:
            await self.ensure()
        except (OSError, NatsError) as error:
            log.info("the streams cannot be made yet (%r)", error)

    async def _ensure_stream(self, stream: Stream) -> None:
        try:
            found = await self.js.stream_info(stream.name)
        except NotFoundError:
            await self.js.add_stream(_config(stream))
            return
        if sorted(found.config.subjects or []) != sorted(stream.subjects):
            raise StreamMismatchError(
                f"the stream {stream.name} holds {found.config.subjects}, not {stream.subjects};"
                " another version of Shoal made it: use another NATS account or remove it"
            )

    @property
    def connected(self) -> bool:
        """Whether the server is there now."""
        return self.nc.is_connected

    async def extent(self, stream: Stream) -> tuple[int, int]:
        """How many messages a stream holds, and the sequence of its last. Raises one of AWAY."""
        state = (await self.js.stream_info(stream.name)).state
        return state.messages, state.last_seq

    async def born(self, stream: Stream) -> str:
        """When a stream was made, to the second: what tells it from one made anew under its name.
        Raises one of AWAY."""
        created = (await self.js.stream_info(stream.name)).created
        return f"{created:%Y%m%dT%H%M%SZ}" if created else ""

    async def last_of(self, stream: Stream, subject: str) -> int:
        """The sequence of the last message of a subject, which may have wildcards; 0: none is."""
        try:
            return (await self.js.get_last_msg(stream.name, subject)).seq or 0
        except NotFoundError:
            return 0

    async def newest(self, stream: Stream, subject: str) -> Envelope | None:
        """The last event of a subject. Raises BadMessageError if it is none of ours."""
        try:
            found = await self.js.get_last_msg(stream.name, subject)
        except NotFoundError:
            return None
        return decode(found.headers, found.data or b"")

    async def forget(self, stream: Stream, durable: str) -> None:
        """Delete a durable consumer, if it is there. Raises one of AWAY."""
        with contextlib.suppress(NotFoundError):
            await self.js.delete_consumer(stream.name, durable)

    async def purge(self, stream: Stream, subject: str) -> None:
        """Remove what a stream holds of a subject, which may have wildcards. Raises one of AWAY."""
        await self.js.purge_stream(stream.name, subject=subject)

    async def bucket(self, name: str) -> KeyValue:
        """A key-value bucket of ours; the server is asked for it once."""
        if name not in self._buckets:
            self._buckets[name] = await self.js.key_value(name)
        return self._buckets[name]

    async def publish(
        self,
        event: Event,
        *,
        id: str,
        cause: str | None = None,
        time: float | None = None,
        after: int | None = None,
        among: str | None = None,
    ) -> int:
        """Publish an event to its stream; returns its sequence once the server has it.

        Tries for ever while the server is away: the id makes a repetition harmless. `after` is
        what `last_of` said of the event's subject, or of `among`, one with wildcards: raises
        ConflictError if that is another now.
        Raises TooLargeError for an event that the server never takes.
        """
        envelope = Envelope(
            id=id,
            source=self.source,
            time=clock.time() if time is None else time,
            event=event,
            cause=cause,
            traceparent=traceparent(),
        )
        return await self.send(envelope, after, among)

    async def send(
        self, envelope: Envelope, after: int | None = None, among: str | None = None
    ) -> int:
        """Publish an envelope as `publish` does."""
        subject, body, headers = (
            subject_of(envelope.event),
            envelope.body(),
            envelope.headers(),
        )
        if after is not None:
            fence = str(api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value)
            headers = {**headers, fence: str(after)}
            if among is not None:
                headers[AMONG] = among
        size = len(body) + sum(len(f"{name}: {value}\r\n") for name, value in headers.items())
        if size + ROOM > self.nc.max_payload:
            raise TooLargeError(
                f"{subject} has {size} bytes; NATS takes messages of {self.nc.max_payload}"
            )
        name = stream_of(envelope.event.type).name
        pause, timeout = 0.05, 1.0
        while True:
            stop_if_cancelled()
            try:
                ack = await self.js.publish(
                    subject, body, timeout=timeout, stream=name, headers=dict(headers)
                )
                return ack.seq
            except (NatsError, OSError) as error:
                if isinstance(error, APIError) and error.err_code == WRONG_LAST_SEQUENCE:
                    raise ConflictError(
                        f"{among or subject} has another last message now"
                    ) from error
                if self.nc.is_closed or (isinstance(error, APIError) and error.code == 400):
                    raise
                log.warning("publishing %s failed (%r); trying again", subject, error)
                if isinstance(error, NoStreamResponseError):
                    await self.mend()
                await asyncio.sleep(pause)
                pause, timeout = min(1.0, pause * 2), min(8.0, timeout * 2)


def _config(stream: Stream) -> api.StreamConfig:
    memory = stream.storage == "memory"
    return api.StreamConfig(
        name=stream.name,
        subjects=stream.subjects,
        description=f"written by: {stream.writer}",
        storage=api.StorageType.MEMORY if memory else api.StorageType.FILE,
        allow_atomic=True if stream.storage == "synced" else None,
        persist_mode=api.PersistMode.ASYNC if stream.storage == "async" else None,
        max_age=stream.max_age or None,
        max_msgs_per_subject=1 if stream.newest_only else -1,
        max_consumers=MAX_CONSUMERS,
        duplicate_window=DUPLICATE_WINDOW,
    )


async def note_error(error: Exception) -> None:
    """Log what went wrong on a connection that goes on, or is tried again: nats-py does that for
    ever, be it told to end or not."""
    stop_if_cancelled()
    log.info("NATS: %r", error)
