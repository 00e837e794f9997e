"""How long the searcher takes to decide on a result, beside how many finished trials there are.

The core alone: with 10,000 trials behind it, its answer to one report, and the question that it
would put to a sampler. Appending to the stream comes on top (0.5 to 5 ms on one NATS server).
"""

import random
import statistics
import time
from collections import deque
from typing import Any

from pydantic import BaseModel

from shoal_contract.config import ExperimentConfig
from shoal_contract.events import (
    AllocationEnded,
    ExperimentSubmitted,
    TrialExtended,
    TrialRequested,
    ValidationReported,
)
from shoal_contract.ids import allocation_id
from shoal_contract.states import Outcome
from shoal_decider import Message, Runner
from shoal_searcher.core.decider import SearcherDecider
from shoal_searcher.shell.samplers import answer
from shoal_searcher.shell.sampling import asks

LEAVES = ("trial.paused", "trial.completed", "trial.stopped")
LAST = 500
"""Messages of which the latency is taken."""


class Life:
    """An ASHA experiment on 16 slots whose results are drawn."""

    def __init__(self, trials: int) -> None:
        self.runner = Runner.of(SearcherDecider())
        self.latency: list[float] = []
        self._queue: deque[tuple[str, int]] = deque()
        self._attempts: dict[str, int] = {}
        self._leaving: list[str] = []
        config = ExperimentConfig.model_validate(
            {
                "name": "latency",
                "entrypoint": "none",
                "hyperparameters": {
                    f"x{n}": {"type": "double", "minval": 0, "maxval": 1} for n in range(6)
                },
                "searcher": {
                    "name": "async_halving", "metric": "loss", "max_time": 64, "sampler": "tpe",
                    "max_trials": trials + 1000,
                },
            }
        )  # fmt: skip
        self._tell(ExperimentSubmitted(experiment_id="e", config=config, storage_url="memory://"))
        rng = random.Random(0)
        while len(self.experiment.trials) < trials:
            trial_id, target = self._queue.popleft()
            if self.experiment.trials[trial_id].over:
                continue
            ids = self._ids(trial_id)
            result = {"loss": rng.random()}
            self._tell(ValidationReported(**ids, step=target, time=target, metrics=result, at=0.0))
            while self._leaving:
                ids = self._ids(self._leaving.pop())
                self._tell(
                    AllocationEnded(**ids, outcome=Outcome.STOPPED, reason="", slots=1, seconds=1.0)
                )

    @property
    def experiment(self) -> Any:
        """The experiment's state."""
        return self.runner.state.experiments["e"]

    def _ids(self, trial_id: str) -> dict[str, Any]:
        attempt = self._attempts[trial_id]
        return {
            "experiment_id": "e", "trial_id": trial_id, "attempt": attempt,
            "allocation_id": allocation_id(trial_id, attempt),
        }  # fmt: skip

    def _tell(self, body: BaseModel) -> None:
        began = time.perf_counter()
        events = self.runner.tell(Message(str(len(self.latency)), 0.0, body))
        self.latency.append(time.perf_counter() - began)
        for event in events:
            if isinstance(event, TrialRequested):
                self._attempts[event.trial_id] = event.attempt
                self._queue.append((event.trial_id, event.task.target))
            elif isinstance(event, TrialExtended):
                self._queue.append((event.trial_id, event.target))
            elif event.type in LEAVES:
                self._leaving.append(event.trial_id)  # type: ignore[attr-defined]


def measure(trials: int) -> dict[str, float]:
    """Milliseconds: of a decision (median, 99th percentile), of the question, of TPE's answer."""
    life = Life(trials)
    last = sorted(life.latency[-LAST:])
    asks(life.experiment)  # whatever is loaded on first use
    began = time.perf_counter()
    question = asks(life.experiment)
    asked = time.perf_counter() - began
    if question is None:
        raise RuntimeError("there is nothing to ask")
    answer(question)
    began = time.perf_counter()
    answer(question)
    answered = time.perf_counter() - began
    return {
        "trials": trials,
        "median": statistics.median(last) * 1e3,
        "p99": last[int(0.99 * len(last))] * 1e3,
        "question": asked * 1e3,
        "answer": answered * 1e3 / question.count,
    }


def table(sizes: tuple[int, ...] = (100, 1000, 10_000)) -> str:
    """The figures as Markdown."""
    lines = [
        "| finished trials | decision, median ms | p99 ms | question to a sampler ms | TPE's"
        " answer, a proposal ms |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for size in sizes:
        m = measure(size)
        lines.append(
            f"| {size} | {m['median']:.2f} | {m['p99']:.2f} | {m['question']:.1f} |"
            f" {m['answer']:.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
