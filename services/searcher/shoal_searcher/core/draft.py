"""A draft: one experiment as it will be after the events decided so far."""

import sys
from dataclasses import dataclass, field

from shoal_contract import ids
from shoal_contract.events import (
    BestTrial,
    Event,
    SearchCompleted,
    SearchFailed,
    Task,
    TrialCreated,
    TrialRequested,
    TrialStopped,
)
from shoal_contract.states import ExperimentState, TrialState
from shoal_searcher.core import space
from shoal_searcher.core.evolve import evolve_experiment
from shoal_searcher.core.methods import METHODS, Method
from shoal_searcher.core.state import Experiment, Trial

CHUNK = 400
"""Events after which a message's decisions pause until the next tick: a journal takes them in one
atomic batch, which NATS limits to 1,000."""
LIVE = frozenset({TrialState.WANTED, TrialState.INTERRUPTED, TrialState.PAUSED})
"""States in which a trial may take up a place. Only asked for members, never iterated."""


@dataclass(slots=True)
class Draft:
    """Collects events, and applies each to a copy that the state does not see."""

    experiment: Experiment
    events: list[Event] = field(default_factory=list)

    @classmethod
    def of(cls, experiment: Experiment) -> "Draft":
        """A draft that begins as `experiment` is. The trials are shared: they are replaced only."""
        return cls(
            experiment.model_copy(
                update={
                    "trials": dict(experiment.trials),
                    "rungs": [dict(rung) for rung in experiment.rungs],
                }
            )
        )

    @property
    def method(self) -> Method:
        """The experiment's search method."""
        return METHODS[self.experiment.config.searcher.name]

    def emit(self, event: Event) -> None:
        """Decide on an event."""
        self.events.append(event)
        evolve_experiment(self.experiment, event)

    def request(self, trial: Trial, target: int) -> None:
        """Ask for slots for the next attempt of a trial, from its latest checkpoint."""
        config = self.experiment.config
        attempt = trial.attempt + 1
        task = Task(
            experiment_id=self.experiment.experiment_id,
            trial_id=trial.trial_id,
            attempt=attempt,
            entrypoint=config.entrypoint,
            bundle=self.experiment.bundle,
            hyperparameters=trial.hyperparameters,
            seed=trial.seed,
            environment=config.environment.environment_variables,
            metric=config.searcher.metric,
            smaller_is_better=config.searcher.smaller_is_better,
            time_metric=config.searcher.time_metric,
            target=target,
            storage_url=self.experiment.storage_url,
            checkpoint=trial.checkpoint,
        )
        self.emit(
            TrialRequested(
                experiment_id=self.experiment.experiment_id,
                trial_id=trial.trial_id,
                attempt=attempt,
                task=task,
                resources=config.resources,
            )
        )

    def next_target(self, trial: Trial) -> int:
        """Where the trial's next result is judged."""
        targets = self.method.targets(self.experiment)
        return next((t for t in targets if t > trial.time), targets[-1])

    def fill(self) -> None:
        """Bring as many trials into the air as may be: those that a person's pause held first,
        then promotions, then new ones. Ends the experiment when nothing is left to do.

        A trial whose last attempt still holds its slots keeps a place and waits: two attempts of
        one trial never run at once.
        """
        experiment, method = self.experiment, self.method
        if experiment.state is not ExperimentState.ACTIVE:
            return
        limit = concurrent(experiment)
        live = [t for t in experiment.trials.values() if t.state in LIVE]
        paused = [t for t in live if t.state is TrialState.PAUSED]
        held = [t for t in paused if t.held_by_user]
        places = len(live) - len(paused) + len(held)
        waiting = [(t.trial_id, self.next_target(t)) for t in held]
        free = max(0, limit - places)
        promoted = method.promotable(experiment)[:free] if free else []
        for trial_id, target in waiting + promoted:
            if len(self.events) >= CHUNK:
                return
            if not experiment.trials[trial_id].holding:
                self.request(experiment.trials[trial_id], target)
        places += len(promoted)
        total = method.total(experiment)
        while places < limit and len(experiment.trials) < total:
            if len(self.events) >= CHUNK:
                return
            self._create()
            places += 1
        if places == 0:
            self._end()

    def _create(self) -> None:
        experiment, method = self.experiment, self.method
        number = len(experiment.trials)
        trial_id = ids.trial_id(experiment.experiment_id, number)
        self.emit(
            TrialCreated(
                experiment_id=experiment.experiment_id,
                trial_id=trial_id,
                number=number,
                hyperparameters=method.propose(experiment, number),
                seed=space.trial_seed(experiment.config.seed, number),
            )
        )
        self.request(experiment.trials[trial_id], method.targets(experiment)[0])

    def _end(self) -> None:
        """Close what is left, and the search once no attempt holds slots any more: until then
        the last checkpoints still come in, the best trial's perhaps among them."""
        experiment = self.experiment
        for trial in list(experiment.trials.values()):
            if trial.over:
                continue
            if len(self.events) >= CHUNK:
                return
            self.emit(
                TrialStopped(
                    experiment_id=experiment.experiment_id,
                    trial_id=trial.trial_id,
                    reason=f"the search is over: {self.method.standing(experiment, trial)}",
                )
            )
        if not any(trial.holding for trial in experiment.trials.values()):
            self._close()

    def _close(self) -> None:
        experiment = self.experiment
        trials = len(experiment.trials)
        failed = [t for t in experiment.trials.values() if t.state is TrialState.FAILED]
        if failed and len(failed) == trials:
            self.emit(
                SearchFailed(
                    experiment_id=experiment.experiment_id,
                    reason=f"all {trials} trials failed; the last one: {failed[-1].reason}",
                    best=best_of(experiment),
                    trials=trials,
                )
            )
            return
        reason = f"{trials} trials ended"
        if failed:
            reason += f", {len(failed)} of them failed"
        self.emit(
            SearchCompleted(
                experiment_id=experiment.experiment_id,
                reason=reason,
                best=best_of(experiment),
                trials=trials,
            )
        )


def concurrent(experiment: Experiment) -> int:
    """How many trials may be in the air at once."""
    return getattr(experiment.config.searcher, "max_concurrent_trials", 1) or sys.maxsize


def best_of(experiment: Experiment) -> BestTrial | None:
    """The best trial, as events tell it."""
    best = experiment.best()
    if best is None or best.best is None:
        return None
    return BestTrial(
        trial_id=best.trial_id,
        metric=best.best,
        step=best.best_step,
        hyperparameters=best.hyperparameters,
        checkpoint=best.best_checkpoint or best.checkpoint,
    )
