"""Cancellation that is not lost."""

import asyncio


def stop_if_cancelled() -> None:
    """Raise CancelledError if this task was told to end and something swallowed that.

    `asyncio.wait_for`, on which nats-py's requests wait, does so up to Python 3.11 when the answer
    comes in the same moment (https://github.com/python/cpython/issues/86296). So every loop that
    asks NATS something calls this.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
