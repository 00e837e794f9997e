"""How late an event reaches each of many subscribers of `/v1/events`."""

import asyncio
import json
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.gateway.stand import Stand
from shoal_bus.bus import Bus, BusSettings
from shoal_contract.events import NodeJoined

PAUSE = 0.5
"""Seconds between two events."""
PATIENCE = 60.0
"""Seconds after which what did not arrive is missing."""


@dataclass(frozen=True, slots=True)
class Subscribers:
    """What came of it."""

    count: int
    events: int
    connecting: float
    """Seconds until all were told where the stream stands."""
    lags: list[float]
    """Seconds from an event's publication until a subscriber had it; one for each of both."""
    missing: int


async def measure(stand: Stand, *, count: int, events: int) -> Subscribers:
    """Connect, then publish."""
    bus = await Bus.connect(
        BusSettings(nats_url=stand.nats_url, service="worker", replica="teller")
    )
    began = time.monotonic()
    begun: list[asyncio.Event] = [asyncio.Event() for _ in range(count)]
    lags: list[float] = []
    tasks = [asyncio.create_task(_subscribe(stand, one, events, lags)) for one in begun]
    async with asyncio.timeout(PATIENCE):
        for one in begun:
            await one.wait()
    connecting = time.monotonic() - began
    for number in range(events):
        node = NodeJoined(
            node_id=f"n{number}", incarnation="i", pool="default", host="h", slots=[], ports=[]
        )
        await bus.publish(node, id=f"joined-{number}")
        await asyncio.sleep(PAUSE)
    _, late = await asyncio.wait(tasks, timeout=PATIENCE)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await bus.close()
    return Subscribers(count, events, connecting, lags, count * events - len(lags))


async def _subscribe(stand: Stand, begun: asyncio.Event, events: int, lags: list[float]) -> None:
    """Read lines from a socket, as little as that takes."""
    where = urlsplit(stand.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = f"GET /v1/events?type=node.joined HTTP/1.1\r\nHost: {where.netloc}\r\n"
    writer.write((head + f"Authorization: Bearer {stand.token}\r\n\r\n").encode())
    seen = 0
    while seen < events and (line := await reader.readline()):
        if line.startswith(b"id: "):
            begun.set()
        elif line.startswith(b"data: "):
            lags.append(time.time() - json.loads(line[6:])["time"])
            seen += 1
    writer.close()
