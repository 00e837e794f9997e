"""What a consumer could not use: kept whole, with the reason, where somebody can look at it."""

import asyncio
import logging

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from shoal_bus.bus import Bus
from shoal_bus.cancelling import stop_if_cancelled
from shoal_bus.tracing import dead_letters
from shoal_contract.subjects import dead_letter

log = logging.getLogger(__name__)


async def bury(bus: Bus, msg: Msg, consumer: str, reason: str) -> None:
    """Put a message, as it came, among the dead letters, with the reason.

    The body is unchanged and each header is kept under `orig-`. Tries for ever.
    """
    meta = msg.metadata
    log.error("dead letter from %s #%d: %s", meta.stream, meta.sequence.stream, reason)
    dead_letters.add(1, {"consumer": consumer, "stream": meta.stream})
    headers = {f"orig-{name}": value for name, value in (msg.headers or {}).items()}
    headers |= {
        "shoal-reason": " ".join(reason.split())[:1000],
        "shoal-subject": msg.subject,
        "Nats-Msg-Id": f"dead-{consumer}-{meta.stream}-{meta.sequence.stream}",
    }
    while True:
        stop_if_cancelled()
        try:
            await bus.js.publish(dead_letter(consumer), msg.data, headers=dict(headers))
            return
        except (NatsError, OSError) as error:
            if bus.nc.is_closed:
                raise
            log.warning("a dead letter could not be stored (%r); trying again", error)
            await asyncio.sleep(0.2)
