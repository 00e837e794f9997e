"""What rank 0 says, sent in order by a thread of its own.

Training never waits for the worker or the platform: while they are away, what was said is kept
and sent again; each message may arrive twice, and counts once.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from shoal_contract.events import Checkpoint
from shoal_contract.line import LARGEST_MESSAGE, Group, Numbers

log = logging.getLogger(__name__)

LINGER = 2.0
"""Seconds that training numbers wait for others, to go out together: each message costs this
process some 2 ms, half of it in gRPC's threads, and the platform's services some 9."""
MOST = 500
"""Reports in one message."""
LARGE = LARGEST_MESSAGE // 2
"""Bytes in one message; the token has room beside them."""
HELD = 100_000
"""Reports that are kept; then a report waits for the worker after all."""
PAUSE = 0.5
"""Seconds between two attempts."""


class ClosedError(RuntimeError):
    """The worker says that this run is over: nothing more is to be sent."""


class RefusedError(ValueError):
    """The worker will never take this message."""


Said = tuple[int, dict[str, float], Group, float, int, int | None]
"""A report as the training makes it, as cheap as can be: the fields of `Numbers` in their order."""


def numbers(said: Said) -> Numbers:
    """The report as it is sent."""
    return Numbers(**dict(zip(Numbers.model_fields, said, strict=True)))


class Outbox:
    """Sends reports and checkpoints. `report` and `saved` raise OSError when the worker is not
    there, and ClosedError when nothing more is wanted. With any other error the sending ends, and
    each later call raises RuntimeError."""

    def __init__(
        self,
        report: Callable[[list[Numbers]], None],
        saved: Callable[[Checkpoint], None],
    ) -> None:
        self._report, self._saved = report, saved
        self._items: deque[Said | Checkpoint] = deque()
        self._changed = threading.Condition()
        self._urgent = self._closed = False
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    def put(self, item: Said | Checkpoint, *, now: bool) -> None:
        """Send it after what came before; with `now`, without waiting for more.

        It takes no lock and wakes nobody, where it can: the thread looks by itself.
        """
        if self._closed:
            self._tell()
            return
        self._items.append(item)
        held = len(self._items)
        if now or held % MOST == 0 or self._thread is None:
            self._wake(now)
        if held > HELD:
            with self._changed:
                self._changed.wait_for(lambda: len(self._items) <= HELD or self._closed)

    def _wake(self, urgent: bool) -> None:
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="shoal-outbox")
                self._thread.start()
            self._urgent = self._urgent or urgent
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until everything is sent; whether it is after `timeout` seconds."""
        with self._changed:
            self._urgent = True
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: not self._items or self._closed, timeout)
        self._tell()
        return done

    def _tell(self) -> None:
        if self._error is not None:
            raise RuntimeError(f"reports can no longer be sent: {self._error}") from self._error

    def _run(self) -> None:
        try:
            self._send()
        except ClosedError:
            pass
        except Exception as error:
            log.exception("reports can no longer be sent")
            self._error = error
        self._close()

    def _send(self) -> None:
        part: list[Numbers] | Checkpoint | None = None
        while True:
            if part is None:  # else it is sent again as it was, so that it counts once
                with self._changed:
                    self._changed.wait_for(self._worth_sending, LINGER)
                if not self._items:
                    continue
                part = self._next()
            try:
                if isinstance(part, Checkpoint):
                    self._saved(part)
                else:
                    self._report(part)
            except OSError:
                time.sleep(PAUSE)
                continue
            with self._changed:
                for _ in range(1 if isinstance(part, Checkpoint) else len(part)):
                    self._items.popleft()
                self._urgent = self._urgent and bool(self._items)
                self._changed.notify_all()
            part = None

    def _worth_sending(self) -> bool:
        return bool(self._items) and (self._urgent or len(self._items) >= MOST)

    def _next(self) -> list[Numbers] | Checkpoint:
        first = self._items[0]
        if isinstance(first, Checkpoint):
            return first
        part: list[Numbers] = []
        size = 0
        for place in range(min(len(self._items), MOST)):  # by places: it grows meanwhile
            item = self._items[place]
            if isinstance(item, Checkpoint):
                break
            size += Numbers.at_most(item[1])
            if part and size > LARGE:
                break
            part.append(numbers(item))
        return part

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
