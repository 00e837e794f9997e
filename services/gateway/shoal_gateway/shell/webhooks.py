"""Tells other systems what happens, by HTTP: signed, tried again, and never inside our own network.

Each webhook has a durable consumer, which replicas share: an event is acknowledged when the
receiver has taken it, or was given up. The form is that of Standard Webhooks
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import httpx
from redis.exceptions import RedisError

from shoal_bus.bus import AWAY, Bus
from shoal_bus.cancelling import end, stop_if_cancelled
from shoal_bus.consume import Consumer, Delivery
from shoal_bus.sealing import SealError
from shoal_contract.subjects import EXPERIMENTS, SEARCH, Stream
from shoal_gateway.core.changes import finite
from shoal_gateway.core.ledger.catalog import Webhook
from shoal_gateway.core.whose import experiment_in
from shoal_gateway.shell.addresses import AddressError, checked
from shoal_gateway.shell.parts import Parts

log = logging.getLogger(__name__)

STREAMS = (EXPERIMENTS, SEARCH)
"""What may be told of."""
TIMEOUT = 10.0
LONGEST_PAUSE = 300.0
TRIES = 12
"""With pauses of 1, 2, 4 … seconds: about half an hour."""
TO_ONE = 8
"""Messages that one receiver is sent at the same time."""
LOOK = 1.0
"""Seconds between two looks at which webhooks there are."""
PATIENCE = 60.0
"""Seconds for a message to be sent, or to wait for those before it, until another replica may."""


UNTOLD = (httpx.HTTPError, RedisError, AddressError, SealError, *AWAY)
"""Why a receiver may not be told now."""


class Webhooks:
    """The deliveries of one replica."""

    def __init__(self, use: Parts, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._use, self._networks = use, networks

    async def run(self) -> None:
        """Deliver until cancelled: each webhook by itself, so that none waits for another."""
        telling: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                stop_if_cancelled()
                hooks = self._use.ledger.state.catalog.webhooks
                for name in [name for name in telling if name not in hooks]:
                    await end([telling.pop(name)])
                    await forget(self._use.bus, name)
                for name in hooks:
                    if name not in telling:
                        telling[name] = asyncio.create_task(self._serve(name))
                done = [task for task in telling.values() if task.done()]
                for task in done:
                    task.result()
                await asyncio.sleep(LOOK)
        finally:
            await end(telling.values())

    async def _serve(self, name: str) -> None:
        async with asyncio.TaskGroup() as group:
            for stream in STREAMS:
                group.create_task(self._follow(_consumer(self._use.bus, stream, name), name))

    async def _follow(self, consumer: Consumer, name: str) -> None:
        room = asyncio.Semaphore(TO_ONE)
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    stop_if_cancelled()
                    for delivery in await consumer.fetch():
                        await room.acquire()
                        task = group.create_task(self._tell(name, delivery))
                        task.add_done_callback(lambda _: room.release())
        finally:
            await consumer.close()

    async def _tell(self, name: str, delivery: Delivery) -> None:
        """Tell a receiver of an event. It is delivered again, later and later, until the receiver
        has taken it or is given up."""
        hook = self._use.ledger.state.catalog.webhooks.get(name)
        try:
            if hook is None or not await self._wants(hook, delivery):
                await delivery.ack()
                return
            status = await self._post(hook, delivery)
            if status < 300 or status == 410:
                await delivery.ack()
                return
            why = f"it answered {status}"
        except UNTOLD as error:
            why = str(error) or type(error).__name__
        log.info("the webhook %s was not told (%s)", name, why)
        if delivery.deliveries < TRIES:
            await delivery.nak(min(LONGEST_PAUSE, 2.0 ** (delivery.deliveries - 1)))
            return
        log.warning("the webhook %s is not told of %s", name, delivery.envelope.id)
        await delivery.ack()

    async def _wants(self, hook: Webhook, delivery: Delivery) -> bool:
        """Whether a receiver is to be told."""
        event = delivery.envelope.event
        experiment_id = experiment_in(event)
        told = event.type.startswith(tuple(hook.events)) and delivery.envelope.time >= hook.at
        if not told or experiment_id is None:
            return False
        return hook.workspace == await self._use.directory.home_of(experiment_id)

    async def _post(self, hook: Webhook, delivery: Delivery) -> int:
        envelope = delivery.envelope
        data = {
            "id": envelope.id,
            "type": envelope.event.type,
            "time": envelope.time,
            "data": finite(envelope.event.model_dump(mode="json")),
        }
        body = json.dumps(data, separators=(",", ":"), allow_nan=False).encode()
        headers = signed(self._secret(hook), f"{envelope.id}.{hook.webhook_id}", time.time(), body)
        place = await checked(hook.url, self._networks)
        async with (
            httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as http,
            http.stream(
                "POST",
                place.url,
                content=body,
                headers={**headers, "Host": place.host, "Content-Type": "application/json"},
                extensions={"sni_hostname": place.name},
            ) as answer,
        ):
            return answer.status_code

    def _secret(self, hook: Webhook) -> str:
        if self._use.seal is None:
            raise SealError("there is no SHOAL_SECRET_KEY to sign with")
        return self._use.seal.open(hook.workspace, hook.webhook_id, hook.sealed)


async def prepare(bus: Bus, name: str) -> None:
    """See to it that a webhook is told what happens from now on. Raises one of AWAY."""
    for stream in STREAMS:
        consumer = _consumer(bus, stream, name)
        await consumer.open()
        await consumer.close()


async def forget(bus: Bus, name: str) -> None:
    """Keep nothing more for a webhook."""
    for stream in STREAMS:
        with contextlib.suppress(*AWAY):
            await bus.forget(stream, _durable(name))


def _consumer(bus: Bus, stream: Stream, name: str) -> Consumer:
    return Consumer(
        bus, stream, durable=_durable(name), start="new", batch=TO_ONE, ack_wait=PATIENCE
    )


def _durable(name: str) -> str:
    return f"gateway-webhook-{name}"


def signed(secret: str, id: str, now: float, body: bytes) -> dict[str, Any]:
    """The headers by which a receiver knows that a message is ours, and not another it had."""
    stamp = str(int(now))
    content = f"{id}.{stamp}.".encode() + body
    digest = hmac.new(secret.encode(), content, hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
