"""Shoal's searcher: its real core, asked and told as the platform does."""

from collections import deque
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from benchmarks.search.clock import Answer, Contender, Job
from benchmarks.search.settings import Settings
from benchmarks.search.table import Space, Table
from shoal_contract.config import ExperimentConfig
from shoal_contract.events import (
    AllocationEnded,
    ExperimentSubmitted,
    Task,
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

LEAVES: dict[str, Answer] = {
    "trial.paused": "pause", "trial.stopped": "stop", "trial.completed": "stop",
}  # fmt: skip


class Shoal:
    """One experiment."""

    def __init__(
        self, space: Space, max_time: int, settings: Settings, searcher: dict[str, Any]
    ) -> None:
        self._runner = Runner.of(SearcherDecider())
        self._queue: deque[Task] = deque()
        self._attempts: dict[int, int] = {}
        self._answers: dict[int, Answer] = {}
        self._count = 0
        config = ExperimentConfig.model_validate(
            {
                "name": "benchmark",
                "entrypoint": "none",
                "hyperparameters": space,
                "seed": settings.seed,
                "searcher": {
                    "metric": "accuracy",
                    "smaller_is_better": False,
                    "max_time": max_time,
                    "max_concurrent_trials": settings.workers,
                    **searcher,
                },
            }
        )
        self._tell(ExperimentSubmitted(experiment_id="e", config=config, storage_url="memory://"))

    def next(self, now: float) -> Job | None:
        """The first attempt in the queue."""
        if not self._queue:
            return None
        task = self._queue.popleft()
        number = int(task.trial_id.removeprefix("e-"))
        self._attempts[number] = task.attempt
        return Job(number, task.hyperparameters)

    def report(self, trial: int, epoch: int, value: float, now: float) -> Answer:
        """What the searcher decides on the result."""
        ids: dict[str, Any] = {
            "experiment_id": "e",
            "trial_id": f"e-{trial}",
            "attempt": self._attempts[trial],
            "allocation_id": allocation_id(f"e-{trial}", self._attempts[trial]),
        }
        self._tell(
            ValidationReported(**ids, step=epoch, time=epoch, metrics={"accuracy": value}, at=now)
        )
        found = self._answers.pop(trial, "go_on")
        if found != "go_on":
            self._tell(
                AllocationEnded(**ids, outcome=Outcome.STOPPED, reason="", slots=1, seconds=0.0)
            )
        return found

    def _tell(self, body: BaseModel) -> None:
        self._decide(body)
        while (experiment := self._runner.state.experiments.get("e")) is not None:
            if (question := asks(experiment)) is None:
                break
            self._decide(question.reply(answer(question)))

    def _decide(self, body: BaseModel) -> None:
        self._count += 1
        for event in self._runner.tell(Message(str(self._count), 0.0, body)):
            if isinstance(event, TrialRequested):
                self._queue.append(event.task)
            elif isinstance(event, TrialExtended):
                self._answers[_number(event.trial_id)] = "go_on"
            elif event.type in LEAVES:
                self._answers[_number(event.trial_id)] = LEAVES[event.type]  # type: ignore[attr-defined]


def _number(trial_id: str) -> int:
    return int(trial_id.removeprefix("e-"))


def _method(**searcher: Any) -> Callable[[Table, Settings], Contender]:
    def make(table: Table, settings: Settings) -> Contender:
        given = {name: value(settings) if callable(value) else value
                 for name, value in searcher.items()}  # fmt: skip
        return Shoal(table.space, table.max_time, settings, given)

    return make


_ASHA = {"name": "async_halving", "max_trials": lambda s: s.trials, "divisor": lambda s: s.divisor}

CONTENDERS: dict[str, Callable[[Table, Settings], Contender]] = {
    "Shoal ASHA": _method(**_ASHA),
    "Shoal ASHA, stop_once": _method(**_ASHA, stop_once=True),
    "Shoal ASHA + TPE": _method(**_ASHA, sampler="tpe"),
    "Shoal ASHA + TPE, stop_once": _method(**_ASHA, sampler="tpe", stop_once=True),
    "Shoal ASHA, round_up": _method(**_ASHA, round_up=True),
    "Shoal ASHA + TPE, round_up": _method(**_ASHA, sampler="tpe", round_up=True),
    "Shoal ASHA + qmc, round_up": _method(**_ASHA, sampler="qmc", round_up=True),
    "Shoal ASHA + GP": _method(**_ASHA, sampler="gp"),
    "Shoal adaptive ASHA": _method(**{**_ASHA, "name": "adaptive_asha"}),
    "Shoal adaptive ASHA + TPE": _method(**{**_ASHA, "name": "adaptive_asha"}, sampler="tpe"),
    "Shoal adaptive ASHA, stop_once": _method(**{**_ASHA, "name": "adaptive_asha"}, stop_once=True),
    "Shoal Hyperband": _method(name="hyperband", divisor=lambda s: s.divisor, passes=6),
    "Shoal random + TPE, full length": _method(
        name="random", max_trials=lambda s: s.trials, sampler="tpe"
    ),
}
