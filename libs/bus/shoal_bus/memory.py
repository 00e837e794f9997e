"""What is remembered for a day, under a name: such as what a request was answered."""

import contextlib

from nats.errors import MaxPayloadError
from nats.js.errors import APIError, KeyNotFoundError, KeyWrongLastSequenceError

from shoal_bus.bus import REQUESTS, WRONG_LAST_SEQUENCE, Bus


async def claim(bus: Bus, name: str, value: bytes) -> int | None:
    """Remember a value; returns its revision, or None if there is one already. Raises one of AWAY,
    as all of these do."""
    try:
        return await (await bus.bucket(REQUESTS)).create(name, value)
    except KeyWrongLastSequenceError:
        return None


async def recall(bus: Bus, name: str) -> bytes | None:
    """The value that is remembered; None if there is none (any more)."""
    try:
        return (await (await bus.bucket(REQUESTS)).get(name)).value or b""
    except KeyNotFoundError:
        return None


async def remember(bus: Bus, name: str, value: bytes) -> None:
    """Remember another value; one that is larger than what NATS takes leaves it as it is."""
    with contextlib.suppress(MaxPayloadError):
        await (await bus.bucket(REQUESTS)).put(name, value)


async def forget(bus: Bus, name: str, revision: int) -> None:
    """Forget a value, unless there is another one by now."""
    try:
        await (await bus.bucket(REQUESTS)).delete(name, last=revision)
    except APIError as error:
        if error.err_code != WRONG_LAST_SEQUENCE:
            raise
