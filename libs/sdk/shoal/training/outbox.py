"""What rank 0 says, sent in order by a thread of its own.

Training never waits for the worker or the platform: while they are away, what was said is kept
and sent again; each message may arrive twice, and counts once.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

from shoal_contract.events import Checkpoint
from shoal_contract.line import Numbers

LINGER = 0.25
"""Seconds that training numbers wait for others, to go out together."""
MOST = 500
"""Reports in one message."""
HELD = 100_000
"""Reports that are kept; then a report waits for the worker after all."""
PAUSE = 0.5
"""Seconds between two attempts."""


class ClosedError(RuntimeError):
    """The worker says that this run is over: nothing more is to be sent."""


class Outbox:
    """Sends reports and checkpoints. `report` and `saved` raise OSError when the worker is not
    there, and ClosedError when nothing more is wanted."""

    def __init__(
        self,
        report: Callable[[list[Numbers]], None],
        saved: Callable[[Checkpoint], None],
    ) -> None:
        self._report, self._saved = report, saved
        self._items: deque[Numbers | Checkpoint] = deque()
        self._changed = threading.Condition()
        self._urgent = self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, item: Numbers | Checkpoint, *, now: bool) -> None:
        """Send it after what came before; with `now`, without waiting for more."""
        with self._changed:
            while len(self._items) >= HELD and not self._closed:
                self._changed.wait()
            if self._closed:
                return
            first = not self._items
            self._items.append(item)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="shoal-outbox")
                self._thread.start()
            if now:
                self._urgent = True
            if now or first or len(self._items) == MOST:
                self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until everything is sent; whether it is after `timeout` seconds."""
        with self._changed:
            self._urgent = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._items or self._closed, timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._items))
                self._changed.wait_for(self._worth_sending, LINGER)
                part = self._next()
            try:
                if isinstance(part, Checkpoint):
                    self._saved(part)
                else:
                    self._report(part)
            except OSError:
                time.sleep(PAUSE)
                continue
            except ClosedError:
                return self._close()
            with self._changed:
                for _ in range(1 if isinstance(part, Checkpoint) else len(part)):
                    self._items.popleft()
                self._urgent = self._urgent and bool(self._items)
                self._changed.notify_all()

    def _worth_sending(self) -> bool:
        return self._urgent or len(self._items) >= MOST

    def _next(self) -> list[Numbers] | Checkpoint:
        first = self._items[0]
        if isinstance(first, Checkpoint):
            return first
        part: list[Numbers] = []
        for item in self._items:
            if isinstance(item, Checkpoint) or len(part) == MOST:
                break
            part.append(item)
        return part

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
