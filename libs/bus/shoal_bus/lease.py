"""A lease: one holder at a time, free again when it is not renewed.

A lease only decides who tries; that two holders never both write is the append's business.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field

from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from shoal_bus.bus import LEASE_TTL, LEASES, Bus
from shoal_bus.cancelling import stop_if_cancelled

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Lease:
    """The lease `name`, for `holder`. `lost` is set when it could not be renewed.

    A holder that comes back under its name takes it over.
    """

    bus: Bus
    name: str
    holder: str
    ttl: float = LEASE_TTL
    """Seconds after which it is free unless renewed; the bucket's, so not to be made longer."""
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    _revision: int = 0
    _renewal: asyncio.Task[None] | None = None

    async def acquire(self) -> None:
        """Wait until the lease is ours, and keep it renewed from then on."""
        waiting = False
        while not await self._take():
            if not waiting:
                log.info("%s: standing by", self.name)
                waiting = True
            stop_if_cancelled()
            await asyncio.sleep(self.ttl / 6)
        self.lost.clear()
        self._renewal = asyncio.create_task(self._renew())

    async def release(self) -> None:
        """Give the lease back, so that a standby need not wait."""
        if self._renewal is None:
            return  # it is not ours to give back
        self._renewal.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._renewal
        self._renewal = None
        if not self.lost.is_set() and not self.bus.nc.is_closed:
            with contextlib.suppress(NatsError, OSError):
                bucket = await self.bus.bucket(LEASES)
                await bucket.delete(self.name, last=self._revision)

    async def _take(self) -> bool:
        try:
            bucket = await self.bus.bucket(LEASES)
            return await self._take_from(bucket)
        except (NatsError, OSError) as error:
            log.debug("%s: %r", self.name, error)
            return False

    async def _take_from(self, bucket: KeyValue) -> bool:
        mine = self.holder.encode()
        try:
            self._revision = await bucket.create(self.name, mine)
            return True
        except KeyWrongLastSequenceError:
            pass
        try:
            entry = await bucket.get(self.name)
        except KeyNotFoundError:
            return False
        if entry.value != mine:
            return False
        try:
            self._revision = await bucket.update(self.name, mine, last=entry.revision)
            return True
        except KeyWrongLastSequenceError:
            return False

    async def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while True:
            stop_if_cancelled()
            await asyncio.sleep(self.ttl / 4)
            try:
                bucket = await self.bus.bucket(LEASES)
                self._revision = await bucket.update(
                    self.name, self.holder.encode(), last=self._revision
                )
                renewed = loop.time()
            except KeyWrongLastSequenceError:
                break
            except (NatsError, OSError):
                if loop.time() - renewed > self.ttl:
                    break
        log.warning("%s: the lease is lost", self.name)
        self.lost.set()
