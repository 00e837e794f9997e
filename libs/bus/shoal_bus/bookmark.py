"""Bookmarks: up to which sequence of a stream somebody has done what there is to do.

For whoever reads in order, one at a time: unlike a durable consumer, which delivers what was not
acknowledged after what is newer, whoever comes next goes on exactly there.
"""

import json

from nats.js.errors import KeyNotFoundError

from shoal_bus.bus import SNAPSHOTS, Bus
from shoal_contract.subjects import Stream


async def bookmark(bus: Bus, name: str, stream: Stream) -> int:
    """The sequence that was kept last; 0 if none was, or it was of a stream that is no more.

    Raises one of AWAY.
    """
    try:
        entry = await (await bus.bucket(SNAPSHOTS)).get(_key(name, stream))
    except KeyNotFoundError:
        return 0
    born, sequence = json.loads(entry.value or b"")
    return int(sequence) if born == await bus.born(stream) else 0


async def keep_bookmark(bus: Bus, name: str, stream: Stream, sequence: int) -> None:
    """Keep a sequence. Raises one of AWAY; then it may not be kept."""
    value = json.dumps([await bus.born(stream), sequence])
    await (await bus.bucket(SNAPSHOTS)).put(_key(name, stream), value.encode())


def _key(name: str, stream: Stream) -> str:
    return f"bookmark.{name}.{stream.name}"
