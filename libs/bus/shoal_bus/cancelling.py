"""Cancellation that is not lost."""

import asyncio
from collections.abc import Iterable


def stop_if_cancelled() -> None:
    """Raise CancelledError if this task was told to end and something swallowed that.

    `asyncio.wait_for`, on which nats-py's requests and redis-py's commands wait, does so up to
    Python 3.11 when the answer comes in the same moment
    (https://github.com/python/cpython/issues/86296). So every loop that asks NATS or Redis
    something calls this.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def end(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancel tasks, again every three seconds, until they have ended: a cancellation may get lost
    in a library's `asyncio.wait_for`."""
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=3.0)
