"""A pool of slots and its trials, played by hand around the searcher's decider."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel

from shoal_contract.config import ExperimentConfig
from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    Checkpoint,
    CheckpointSaved,
    Event,
    ExperimentCancelRequested,
    ExperimentChangeRequested,
    ExperimentPauseRequested,
    ExperimentResumeRequested,
    ExperimentSubmitted,
    Placement,
    Refused,
    Rendezvous,
    TrialExtended,
    TrialRequested,
    TrialStopRequested,
    ValidationReported,
)
from shoal_contract.ids import allocation_id
from shoal_contract.ranges import flatten
from shoal_contract.states import EXPERIMENT, TRIAL, ExperimentState, Outcome, TrialState
from shoal_decider import Message, Runner, Tick, fold
from shoal_searcher.core.decider import SearcherDecider
from shoal_searcher.core.messages import Proposals
from shoal_searcher.core.methods import METHODS
from shoal_searcher.core.sampling import Ask, ask
from shoal_searcher.core.space import sample
from shoal_searcher.core.state import Experiment, State, Trial

REQUESTS = {
    "pause": ExperimentPauseRequested,
    "resume": ExperimentResumeRequested,
    "cancel": ExperimentCancelRequested,
}
QUIET = ("trial.measured", "trial.checkpointed", "trial.released", "trial.started")
"""Events that change no trial's state."""
MACHINES = ("trial.", "search.")


def config(name: str = "single", **changes: Any) -> ExperimentConfig:
    """An experiment; fields of the searcher and of the experiment mixed freely."""
    searcher = {"name": name, "metric": "loss", "max_time": 64}
    own = {"hyperparameters": {"lr": {"type": "log", "minval": -4, "maxval": -1}}}
    for key, value in changes.items():
        known = key in ExperimentConfig.model_fields
        (own if known else searcher)[key] = value
    return ExperimentConfig.model_validate(
        {"name": "e", "entrypoint": "python t.py", "searcher": searcher, **own}
    )


def drawn(question: Ask) -> Proposals:
    """The answer of a sampler that draws, each time something else."""
    return question.reply(
        [
            flatten(sample(question.space, 1000 + question.number, n, question.constraints))
            for n in range(question.count)
        ]
    )


class Pool:
    """The searcher, with every event checked against the AFTER tables and by a replay."""

    def __init__(self, found: ExperimentConfig | None = None, *, grants: bool = False) -> None:
        self.grants = grants
        """Whether every attempt gets its slots at once, and the searcher hears so."""
        self.decider = SearcherDecider()
        self.runner: Runner[State] = Runner.of(self.decider)
        self.events: list[Event] = []
        self.trials: dict[str, TrialState] = {}
        self.searches: dict[str, ExperimentState] = {}
        self.targets: dict[str, int] = {}
        self.now = 0.0
        self._count = 0
        if found is not None:
            self.submit(found)

    def tell(self, body: BaseModel, answer: bool = True) -> list[str]:
        """Say something; the types of what was decided. Samplers are answered for at once, unless
        told not to."""
        told = self._tell(body)
        while answer and (question := self.question()) is not None:
            told += self._tell(self.sampled(question))
        experiment = self.runner.state.experiments.get("e")
        if self.grants and experiment is not None:
            for trial in list(experiment.trials.values()):
                if trial.holding and trial.started_at is None:
                    self._tell(self._granted(trial.number, self.now))
        return told

    def sampled(self, question: Ask) -> Proposals:
        """A sampler's answer: whatever a draw gives."""
        return drawn(question)

    def question(self) -> Ask | None:
        """What a sampler would be asked now."""
        experiment = self.runner.state.experiments.get("e")
        if experiment is None:
            return None
        plans = METHODS[experiment.config.searcher.name].brackets(experiment)
        return ask(experiment, sum(plan.max_trials for plan in plans))

    def _tell(self, body: BaseModel) -> list[str]:
        self._count += 1
        before = self.decider.dump(self.runner.state)
        message = Message(f"m{self._count}", self.now, body)
        planned = list(self.decider.decide(self.runner.state, message))
        assert self.decider.dump(self.runner.state) == before, "decide changed the state"
        told = self.runner.tell(message)
        assert told == planned
        for event in told:
            self._follow(event)
        self.events += told
        return [event.type for event in told]

    def submit(
        self, found: ExperimentConfig, experiment_id: str = "e", answer: bool = True
    ) -> list[str]:
        return self.tell(
            ExperimentSubmitted(experiment_id=experiment_id, config=found, storage_url="file:///s"),
            answer,
        )

    def ask(self, verb: str, experiment_id: str = "e") -> list[str]:
        return self.tell(REQUESTS[verb](experiment_id=experiment_id))

    def report(
        self, n: int, time: int, value: float | None, attempt: int = 0, **more: float
    ) -> list[str]:
        attempt = attempt or self.attempt(n)
        return self.tell(
            ValidationReported(
                experiment_id="e",
                trial_id=f"e-{n}",
                allocation_id=allocation_id(f"e-{n}", attempt),
                attempt=attempt,
                step=time * 10,
                time=time,
                metrics=more if value is None else {"loss": value, **more},
                at=0.0,
            )
        )

    def grant(self, n: int, at: float) -> list[str]:
        return self.tell(self._granted(n, at))

    def _granted(self, n: int, at: float) -> AllocationGranted:
        slots = list(range(self.experiment.config.resources.least))
        return AllocationGranted(
            experiment_id="e",
            trial_id=f"e-{n}",
            allocation_id=allocation_id(f"e-{n}", self.attempt(n)),
            attempt=self.attempt(n),
            placements=[Placement(node_id="n", incarnation="i", slots=slots)],
            rendezvous=Rendezvous(host="h", port=1),
            at=at,
        )

    def change(self, **changes: int) -> list[str]:
        return self.tell(ExperimentChangeRequested(experiment_id="e", **changes))

    def stop(self, n: int, *, at_once: bool = False) -> list[str]:
        return self.tell(TrialStopRequested(experiment_id="e", trial_id=f"e-{n}", at_once=at_once))

    def save(self, n: int, step: int, attempt: int = 0) -> list[str]:
        attempt = attempt or self.attempt(n)
        found = Checkpoint(url=f"file:///s/{n}/{step}", step=step, attempt=attempt)
        return self.tell(
            CheckpointSaved(
                experiment_id="e",
                trial_id=f"e-{n}",
                allocation_id=allocation_id(f"e-{n}", attempt),
                checkpoint=found,
            )
        )

    def end(
        self,
        n: int,
        outcome: str,
        reason: str = "",
        attempt: int = 0,
        seconds: float = 1.0,
        last_time: int | None = None,
    ) -> list[str]:
        attempt = attempt or self.attempt(n)
        return self.tell(
            AllocationEnded(
                experiment_id="e",
                allocation_id=allocation_id(f"e-{n}", attempt),
                trial_id=f"e-{n}",
                attempt=attempt,
                outcome=Outcome(outcome),
                reason=reason,
                slots=1,
                seconds=seconds,
                last_time=last_time,
            )
        )

    def tick(self) -> list[str]:
        return self.tell(Tick())

    @property
    def experiment(self) -> Experiment:
        return self.runner.state.experiments["e"]

    def trial(self, n: int) -> Trial:
        return self.experiment.trials[f"e-{n}"]

    def attempt(self, n: int) -> int:
        return self.trial(n).attempt

    def said(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def in_state(self, state: str) -> list[int]:
        return [int(t.rpartition("-")[2]) for t, s in self.trials.items() if s == state]

    @property
    def over(self) -> bool:
        return "e" not in self.runner.state.experiments

    def train(
        self,
        value: Callable[[int, int], float | None],
        order: Sequence[int] = (),
        saves: bool = False,
    ) -> Counter[int]:
        """Train everything to its end, each trial with a known curve; units trained, by trial.

        `order` says who reports first among those that are in the air; `saves`, whether each takes
        a checkpoint before.
        """
        units: Counter[int] = Counter()
        for _ in range(10_000):
            if "e" not in self.runner.state.experiments:
                return units
            flying = self.in_state("wanted")
            for n in flying:
                self.grant(n, self.now)
            for n in sorted(flying, key=order.index if order else int):
                if self.trials.get(f"e-{n}") == "wanted" and not self.over:
                    target = self.targets[f"e-{n}"]
                    units[n] += target - max(0, self.trial(n).time)
                    if saves:
                        self.save(n, target * 10)
                    self.report(n, target, value(n, target))
            leaving = ("paused", "completed", "stopped", "cancelled")
            for n in [n for state in leaving for n in self.in_state(state)]:
                if not self.over and self.trial(n).holding:
                    self.end(n, "stopped")
        raise AssertionError("it never ends")

    def check_replay(self) -> None:
        """Replaying the events, or a snapshot, gives the same state."""
        replayed = fold(self.decider, self.decider.initial(), self.events)
        assert self.decider.dump(replayed) == self.decider.dump(self.runner.state)
        loaded = self.decider.load(self.decider.dump(self.runner.state))
        assert loaded == self.runner.state

    def _follow(self, event: Event) -> None:
        if isinstance(event, Refused):
            return
        assert event.type.startswith(MACHINES)
        experiment_id = event.experiment_id  # type: ignore[attr-defined]
        if event.type == "search.accepted":
            self.searches[experiment_id] = ExperimentState.ACTIVE
        elif event.type in ("search.warmed", "search.proposed", "search.begun", "search.changed"):
            pass
        elif event.type.startswith("search."):
            state = self.searches[experiment_id]
            assert event.type in EXPERIMENT[state], f"{event.type} in {state}"
            self.searches[experiment_id] = EXPERIMENT[state][event.type]  # type: ignore[assignment]
        elif event.type == "trial.created":
            assert event.trial_id not in self.trials  # type: ignore[attr-defined]
            self.trials[event.trial_id] = TrialState.CREATED  # type: ignore[attr-defined]
        elif event.type not in QUIET:
            trial_id = event.trial_id  # type: ignore[attr-defined]
            state = self.trials[trial_id]
            assert event.type in TRIAL[state], f"{event.type} in {state}"
            self.trials[trial_id] = TRIAL[state][event.type]  # type: ignore[assignment,index]
        if isinstance(event, TrialRequested):
            self.targets[event.trial_id] = event.task.target
        if isinstance(event, TrialExtended):
            assert event.target > self.targets[event.trial_id]
            self.targets[event.trial_id] = event.target
