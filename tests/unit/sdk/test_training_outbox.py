"""What a rank says reaches the worker in order, whatever the worker is at."""

import threading
from typing import Any

import pytest

from shoal.training import outbox
from shoal.training.outbox import ClosedError, Outbox, RefusedError, Said
from shoal_contract import line
from shoal_contract.events import Checkpoint
from shoal_contract.line import Numbers


class Worker:
    """Hears; away until told otherwise."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.sizes: list[int] = []
        self.there = threading.Event()
        self.over = False

    def report(self, items: list[Numbers]) -> None:
        self.sizes.append(len(line.Report(token="", items=items).model_dump_json()))
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
    return step, {"loss": 1.0}, "training", 0.0, step, None


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


def test_what_may_have_arrived_is_sent_again_as_it_was(monkeypatch: Any) -> None:
    """So that whoever has it knows it again."""
    monkeypatch.setattr(outbox, "PAUSE", 0.01)
    worker = Worker()
    box = Outbox(worker.report, worker.saved)
    box.put(numbers(1), now=True)
    assert not box.flush(0.05)
    box.put(numbers(2), now=True)
    worker.there.set()
    assert box.flush(10)
    assert len(set(worker.sizes)) == 1  # never both in one message
    assert worker.heard == [1, 2]


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


def test_messages_are_cut_by_size_as_well() -> None:
    worker = Worker()
    worker.there.set()
    box = Outbox(worker.report, worker.saved)
    metrics = {f"a rather long name of one metric {n}": 0.1234567890123456 for n in range(300)}
    for step in range(1, 601):
        box.put((step, metrics, "training", 0.0, step, None), now=False)
    assert box.flush(30)
    assert worker.heard == list(range(1, 601))
    assert 2 < len(worker.sizes) < 100
    assert max(worker.sizes) < line.LARGEST_MESSAGE


def test_the_guess_of_a_size_is_never_too_small() -> None:
    for name in ("loss", "\u0001" * 50, "ü" * 50, '"' * 50, "𝄞" * 50):
        metrics = {f"{name}{n}": -1.2345678901234567e-300 for n in range(20)}
        item = line.Numbers(step=-(2**63), metrics=metrics, group="validation", at=1.7e9 / 3)
        assert len(item.model_dump_json().encode()) <= line.Numbers.at_most(metrics)


@pytest.mark.parametrize("error", [RefusedError("too large"), ZeroDivisionError("a mistake")])
def test_what_can_never_be_sent_is_an_error_of_the_next_call(error: Exception) -> None:
    def report(_: list[Numbers]) -> None:
        raise error

    box = Outbox(report, Worker().saved)
    box.put(numbers(1), now=True)
    with pytest.raises(RuntimeError, match=f"can no longer be sent: {error}"):
        box.flush(10)
    with pytest.raises(RuntimeError, match=f"{error}"):
        box.put(numbers(2), now=False)
