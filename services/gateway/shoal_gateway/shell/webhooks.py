"""Tells other systems what happens, by HTTP: signed, tried again, and never inside our own network.

Each event is one replica's to deliver: replicas share a durable consumer. It is acknowledged when
every receiver has taken it, or was given up. The form is that of Standard Webhooks
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

import asyncio
import base64
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

from shoal_bus.bus import Bus
from shoal_bus.cancelling import stop_if_cancelled
from shoal_bus.consume import Consumer, Delivery
from shoal_bus.sealing import SealError
from shoal_contract.subjects import EXPERIMENTS, SEARCH, Stream
from shoal_gateway.core.changes import finite
from shoal_gateway.core.ledger.catalog import Webhook
from shoal_gateway.shell.addresses import AddressError, checked
from shoal_gateway.shell.directory import experiment_in
from shoal_gateway.shell.parts import Parts

log = logging.getLogger(__name__)

STREAMS = (EXPERIMENTS, SEARCH)
"""What may be told of."""
TIMEOUT = 10.0
LONGEST_PAUSE = 300.0
TRIES = 12
"""With pauses of 1, 2, 4 … seconds: about half an hour."""
AT_ONCE = 1000
"""Events of a stream that one replica delivers at the same time: most of them wait for receivers
that do not answer."""
TO_ONE = 8
"""Messages that one receiver is sent at the same time."""
LOOK = 1.0
"""Seconds between two looks at whether there is a webhook."""
_SIGN_OF_LIFE = 2.0


class Webhooks:
    """The deliveries of one replica."""

    def __init__(self, use: Parts, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._use, self._networks = use, networks
        self._room: dict[str, asyncio.Semaphore] = {}

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            for stream in STREAMS:
                group.create_task(self._follow(stream))

    async def _follow(self, stream: Stream) -> None:
        room = asyncio.Semaphore(AT_ONCE)
        consumer = _consumer(self._use.bus, stream)
        async with asyncio.TaskGroup() as group:
            while True:
                stop_if_cancelled()
                if not self._use.ledger.state.catalog.webhooks:
                    await asyncio.sleep(LOOK)
                    continue
                for delivery in await consumer.fetch():
                    await room.acquire()
                    task = group.create_task(self._tell(delivery))
                    task.add_done_callback(lambda _: room.release())

    async def _tell(self, delivery: Delivery) -> None:
        """Tell all receivers of an event, and acknowledge it."""
        try:
            hooks = await self._wanted(delivery)
        except RedisError as error:
            log.warning("nobody is told of %s yet (%r)", delivery.envelope.id, error)
            await delivery.nak(_SIGN_OF_LIFE)
            return
        telling = [asyncio.ensure_future(self._deliver(h, delivery)) for h in hooks]
        try:
            while telling and (await asyncio.wait(telling, timeout=_SIGN_OF_LIFE))[1]:
                await delivery.in_progress()
        finally:
            for task in telling:
                task.cancel()
        await delivery.ack()

    async def _wanted(self, delivery: Delivery) -> list[Webhook]:
        event = delivery.envelope.event
        experiment_id = experiment_in(event)
        hooks = [
            hook
            for hook in self._use.ledger.state.catalog.webhooks.values()
            if event.type.startswith(tuple(hook.events)) and delivery.envelope.time >= hook.at
        ]
        if not hooks or experiment_id is None:
            return []
        workspace = await self._use.directory.workspace_of(experiment_id)
        for _ in range(20):  # the read models may learn of a new experiment a moment later
            if workspace is not None:
                break
            await asyncio.sleep(0.1)
            workspace = await self._use.directory.workspace_of(experiment_id)
        return [hook for hook in hooks if hook.workspace == workspace]

    async def _deliver(self, hook: Webhook, delivery: Delivery) -> None:
        """Tell one receiver, again and again until it has taken it or is given up."""
        for attempt in range(TRIES):
            if hook.webhook_id not in self._use.ledger.state.catalog.webhooks:
                return
            try:
                async with self._room.setdefault(hook.webhook_id, asyncio.Semaphore(TO_ONE)):
                    status = await self._post(hook, delivery)
                if status < 300 or status == 410:
                    return
                why = f"it answered {status}"
            except (httpx.HTTPError, OSError, AddressError, SealError) as error:
                why = str(error) or type(error).__name__
            log.info("the webhook %s was not told (%s)", hook.webhook_id, why)
            await asyncio.sleep(min(LONGEST_PAUSE, 2.0**attempt))
        log.warning("the webhook %s is not told of %s", hook.webhook_id, delivery.envelope.id)

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


async def prepare(bus: Bus) -> None:
    """See to it that what happens from now on will be delivered. Raises one of AWAY."""
    for stream in STREAMS:
        consumer = _consumer(bus, stream)
        await consumer.open()
        await consumer.close()


def _consumer(bus: Bus, stream: Stream) -> Consumer:
    return Consumer(bus, stream, durable="gateway-webhooks", start="new", batch=128)


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
