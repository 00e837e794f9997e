"""Preemptions, as the cloud's audit log tells them through Pub/Sub.

A log sink sends the entries of the method `compute.instances.preempted` to a topic
(deploy/terraform). A message is acknowledged when the preemption is in our stream, so none is lost
when this process dies. https://cloud.google.com/pubsub/docs/pull#streamingpull_api
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1  # type: ignore[attr-defined]

log = logging.getLogger(__name__)

METHOD = "compute.instances.preempted"
Tell = Callable[[str, str], Awaitable[object]]
"""Says of a machine's and a message's id that the cloud takes it back; returns when that is kept.
"""


def preempted_machine(data: bytes, cluster: str) -> str | None:
    """The id of the machine of ours that a log entry says was preempted; None: it says nothing of
    that kind."""
    try:
        payload = json.loads(data)["protoPayload"]
        method, name = payload["methodName"], payload["resourceName"].rpartition("/")[2]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if method != METHOD or not name.startswith(f"{cluster}-"):
        return None
    return str(name.removeprefix(f"{cluster}-"))


@dataclass(slots=True)
class Notices:
    """Hears one subscription."""

    subscription: str
    """`projects/…/subscriptions/…`."""
    cluster: str
    tell: Tell
    at_once: int = 64
    """Messages that are handled at a time; the rest waits at the server."""
    pause: float = 5.0
    """Seconds before the stream is opened again after an error."""

    async def run(self) -> None:
        """Hear, for ever."""
        while True:
            try:
                await self._hear()
            except (GoogleAPICallError, GoogleAuthError, OSError) as error:
                log.warning("%s cannot be read: %s", self.subscription, error)
            await asyncio.sleep(self.pause)

    async def _hear(self) -> None:
        loop = asyncio.get_running_loop()

        def heard(message: Any) -> None:  # in a thread of the client's
            name = preempted_machine(message.data, self.cluster)
            if name is None:
                message.ack()  # not ours
                return
            telling = asyncio.run_coroutine_threadsafe(self._told(name, message.message_id), loop)
            telling.add_done_callback(lambda done: _answer(message, done))

        with pubsub_v1.SubscriberClient() as client:
            flow = pubsub_v1.types.FlowControl(max_messages=self.at_once)
            stream = client.subscribe(self.subscription, callback=heard, flow_control=flow)
            try:
                await asyncio.wrap_future(stream)
            finally:
                stream.cancel()

    async def _told(self, instance_id: str, message_id: str) -> None:
        await self.tell(instance_id, message_id)


def _answer(message: Any, done: "Future[None]") -> None:
    if done.cancelled() or done.exception() is not None:
        message.nack()
    else:
        message.ack()
