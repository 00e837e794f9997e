"""The worker's word, heard as soon as it is given: a flag that costs nothing to look at."""

import threading
import time

from shoal.training.line import Line
from shoal.training.outbox import ClosedError
from shoal_contract.line import Word

PAUSE = 0.5
"""Seconds between two attempts to reach the worker."""


class Notice:
    """Listens to the worker in a thread of its own."""

    def __init__(self, line: Line, rank: int, target: int) -> None:
        self.word = Word(stop=False, target=target)
        """The last one."""
        self._line, self._rank = line, rank
        self._thread = threading.Thread(target=self._listen, daemon=True, name="shoal-notice")
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                for word in self._line.watch(self._rank):
                    self.word = word
            except OSError:
                pass
            except (ClosedError, ValueError):  # it is over, or this process hangs up
                self.word = self.word.model_copy(update={"stop": True})
                return
            time.sleep(PAUSE)
