"""How long the searcher takes to decide on a result, beside how many finished trials there are.

The core alone: with 10,000 trials behind it, its answer to one report or to the end of an attempt,
and the question that it would put to a sampler. Appending to the stream comes on top (0.5 to 5 ms
on one NATS server). `python -m benchmarks.search.latency [FINISHED_TRIALS …]`
"""

import random
import statistics
import sys
import time
from collections import deque
from typing import Any

from pydantic import BaseModel

from shoal_contract.config import ExperimentConfig
from shoal_contract.events import (
    AllocationEnded,
    Checkpoint,
    CheckpointSaved,
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


SEARCHES: dict[str, dict[str, Any]] = {
    "ASHA with TPE": {"name": "async_halving", "max_time": 64, "sampler": "tpe",
                      "max_trials": 11_000},
    "ASHA, 2 objectives": {"name": "async_halving", "max_time": 64, "max_trials": 11_000,
                           "objectives": [{"metric": "size"}]},
    "pbt": {"name": "pbt", "max_time": 100},
    "hyperband": {"name": "hyperband", "max_time": 6561, "divisor": 3},
}  # fmt: skip


class Life:
    """An experiment on 16 slots whose results are drawn."""

    def __init__(self, searcher: dict[str, Any], trials: int) -> None:
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
                "searcher": {"metric": "loss", **searcher},
            }
        )  # fmt: skip
        self._tell(ExperimentSubmitted(experiment_id="e", config=config, storage_url="memory://"))
        rng = random.Random(0)
        while len(self.experiment.trials) < trials:
            trial_id, target = self._queue.popleft()
            if self.experiment.trials[trial_id].over:
                continue
            ids = self._ids(trial_id)
            result = {"loss": rng.random(), "size": rng.random()}
            if searcher["name"] == "pbt":  # whose copies go on from it
                saved = Checkpoint(url="memory://", step=target, attempt=ids.pop("attempt"))
                self.runner.tell(Message("", 0.0, CheckpointSaved(**ids, checkpoint=saved)))
                ids = self._ids(trial_id)
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


def measure(name: str, trials: int) -> str:
    """One line of the table."""
    searcher = dict(SEARCHES[name])
    if name == "pbt":  # of 10 rounds, after each of which a quarter is replaced
        searcher["population_size"] = trials // 2
    life = Life(searcher, trials)
    last = sorted(life.latency[-LAST:])
    median, most = statistics.median(last) * 1e3, last[int(0.99 * len(last))] * 1e3
    line = f"| {name} | {len(life.experiment.trials)} | {median:.2f} | {most:.2f} |"
    asks(life.experiment)  # whatever is loaded on first use
    began = time.perf_counter()
    question = asks(life.experiment)
    asked = time.perf_counter() - began
    if question is None:
        return f"{line} | |"
    answer(question)
    began = time.perf_counter()
    answer(question)
    answered = time.perf_counter() - began
    return f"{line} {asked * 1e3:.1f} | {answered * 1e3 / question.count:.1f} |"


def table(sizes: tuple[int, ...]) -> str:
    """The figures as Markdown."""
    lines = [
        "| search | finished trials | decision, median ms | p99 ms | question to a sampler ms |"
        " its answer, a proposal ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [measure(name, size) for name in SEARCHES for size in sizes]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(tuple(map(int, sys.argv[1:])) or (100, 1000, 10_000)))
