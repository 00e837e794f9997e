"""What a rank says reaches the worker in order, whatever the worker is at."""

import threading
from typing import Any

from shoal.training import outbox
from shoal.training.outbox import ClosedError, Outbox, Said
from shoal_contract.events import Checkpoint
from shoal_contract.line import Numbers


class Worker:
    """Hears; away until told otherwise."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.there = threading.Event()
        self.over = False

    def report(self, items: list[Numbers]) -> None:
        self._say([item.step for item in items])

    def saved(self, checkpoint: Checkpoint) -> None:
        self._say([f"saved {checkpoint.step}"])

    def _say(self, what: list[Any]) -> None:
        if self.over:
            raise ClosedError("over")
        if not self.there.is_set():
            raise OSError("deadline exceeded")
        self.heard += what


def numbers(step: int) -> Said:
    return Said(step, {"loss": 1.0}, "training", 0.0, step)


def test_everything_waits_for_a_worker_that_is_away_and_keeps_its_order(monkeypatch: Any) -> None:
    monkeypatch.setattr(outbox, "PAUSE", 0.01)
    worker = Worker()
    box = Outbox(worker.report, worker.saved)
    for step in range(1, 601):
        box.put(numbers(step), now=False)
    box.put(Checkpoint(url="u", step=600, attempt=1), now=True)
    box.put(numbers(601), now=True)
    assert not box.flush(0.05)
    worker.there.set()
    assert box.flush(10)
    assert worker.heard == [*range(1, 601), "saved 600", 601]


def test_a_full_box_makes_training_wait(monkeypatch: Any) -> None:
    monkeypatch.setattr(outbox, "PAUSE", 0.01)
    monkeypatch.setattr(outbox, "HELD", 2)
    worker = Worker()
    box = Outbox(worker.report, worker.saved)
    for step in (1, 2):
        box.put(numbers(step), now=True)
    third = threading.Thread(target=box.put, args=(numbers(3),), kwargs={"now": True})
    third.start()
    third.join(0.05)
    assert third.is_alive()
    worker.there.set()
    third.join(10)
    assert box.flush(10)
    assert worker.heard == [1, 2, 3]


def test_a_run_that_is_over_says_nothing_more() -> None:
    worker = Worker()
    worker.over = True
    box = Outbox(worker.report, worker.saved)
    box.put(numbers(1), now=True)
    assert box.flush(10)
    box.put(numbers(2), now=True)
    assert box.flush(10)
    assert worker.heard == []
