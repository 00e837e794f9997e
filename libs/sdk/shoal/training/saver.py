"""Saving in the background: a snapshot is taken at once, and written while training goes on."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from shoal.training import ranks, sharded
from shoal.training.checkpoints import CheckpointError, Folder
from shoal.training.randomness import random_state
from shoal.training.snapshot import Snapshots
from shoal_contract.events import Checkpoint

log = logging.getLogger(__name__)

A = TypeVar("A")
RANDOM = "_random"
"""The part that holds every rank's random state."""
PAUSES = (0.5, 2.0, 8.0)
"""Seconds before storage that failed is tried again; after the last, the error is told."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one checkpoint cost, on this rank."""

    step: int
    stall: float
    """Seconds that training waited."""
    write: float
    """Seconds from the snapshot to the complete checkpoint."""
    size: int
    """Bytes."""


class Saver:
    """Saves one checkpoint after another; at most one is being written.

    `saved` is called in the background with each complete one, on rank 0.
    """

    def __init__(
        self, url: str, attempt: int, rank: int, saved: Callable[[Checkpoint, Figures], None]
    ) -> None:
        self._url, self._attempt, self._rank, self._saved = url.rstrip("/"), attempt, rank, saved
        self._snapshots = Snapshots()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._last: int | None = None
        self._lost: BaseException | None = None
        """Why the last one could not be written, once that was told."""

    def save(self, step: int, parts: Mapping[str, Any], *, wait: bool) -> None:
        """Take a snapshot and begin to write it. Every rank must call it. A step that was saved
        is not saved again; one that could not be written is the same error again.

        Waits while an earlier one is being written. Raises CheckpointError if that failed, and,
        with `wait`, if this one does.
        """
        began = time.monotonic()
        self.finish()
        if step == self._last:
            if self._lost is not None:
                raise self._told(self._lost)
            return
        self._last, self._lost = step, None
        states = ranks.gather(random_state())
        whole, pieces = sharded.split(parts)
        taken: dict[str, Any] = {}
        if self._rank == 0:
            content = {
                name: part.state_dict() if hasattr(part, "state_dict") else part
                for name, part in whole.items()
            }
            taken = self._snapshots.take({**content, RANDOM: states})
        shards = sharded.snapshot(pieces) if pieces else None
        if shards is not None:
            sharded.group()
        if self._rank != 0 and shards is None:
            return
        stall = time.monotonic() - began
        self._thread = threading.Thread(
            target=self._write, args=(step, taken, shards, stall), name="shoal-checkpoint"
        )
        self._thread.start()
        if wait:
            self.finish()

    def finish(self) -> None:
        """Wait for the one that is being written. Raises CheckpointError if it failed."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            self._lost, self._error = self._error, None
            raise self._told(self._lost) from self._lost

    @staticmethod
    def _told(error: BaseException) -> CheckpointError:
        return CheckpointError(f"a checkpoint could not be written: {error}")

    def _write(
        self, step: int, taken: dict[str, Any], shards: dict[str, Any] | None, stall: float
    ) -> None:
        began = time.monotonic()
        try:
            found = self._stored(f"{self._url}/step-{step}", step, taken, shards)
            if found is not None:
                self._saved(found, Figures(step, stall, time.monotonic() - began, found.size))
        except BaseException as error:
            self._error = error

    def _stored(
        self, url: str, step: int, taken: Mapping[str, Any], shards: dict[str, Any] | None
    ) -> Checkpoint | None:
        """Write all of it, the manifest last; what was written, on rank 0."""

        def whole() -> dict[str, Any]:
            folder = Folder(url)
            if self._rank != 0:
                return {}
            folder.begin()
            return {f"{n}.pt": folder.write(f"{n}.pt", part) for n, part in taken.items()}

        if shards is None:
            files = _persistently(whole)
        else:  # all ranks try again, or none
            files = _persistently(lambda: sharded.together(whole))
            files |= _persistently(lambda: sharded.write(url, shards, self._rank))
        if self._rank != 0:
            return None
        return _persistently(lambda: Folder(url).finish(files, step, self._attempt))


def _persistently(work: Callable[[], A]) -> A:
    """Do it, again after each of `PAUSES` while storage fails: every kind has errors of its own.
    What cannot be written at all is a CheckpointError, and told at once."""
    for pause in PAUSES:
        try:
            return work()
        except CheckpointError:
            raise
        except Exception as error:
            log.warning("storage failed (%r); trying again in %g s", error, pause)
            time.sleep(pause)
    return work()
