"""Ctrl-C and SIGTERM, such that they cannot be lost.

An exception that a signal's handler raises vanishes if the interpreter happens to be in a finaliser
or a callback of C code. So the signal is remembered too, and whoever waits looks here.
"""

import signal
import threading
from types import FrameType

EXIT_CODE = 130
_told = threading.Event()


def listen() -> None:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt, and remember them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _handle)


def _handle(_signal: int, _frame: FrameType | None) -> None:
    again = _told.is_set()
    _told.set()
    if not again:  # the first one begins an orderly end, which a second does not disturb
        raise KeyboardInterrupt


def wait(seconds: float | None = None) -> None:
    """Wait. Raises KeyboardInterrupt at once if the process was, or is, told to end."""
    if _told.wait(seconds):
        raise KeyboardInterrupt


def told() -> bool:
    """Whether the process was told to end."""
    return _told.is_set()
