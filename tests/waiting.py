"""Waiting for what is not an event."""

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], bool], seconds: float = 60.0, pause: float = 0.02) -> None:
    """Wait until something is so. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(pause)
