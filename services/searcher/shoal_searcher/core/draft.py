"""A draft: one experiment as it will be after the events decided so far."""

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
        then promotions, then new ones. Ends the experiment when nothing is left to do."""
        experiment = self.experiment
        if experiment.state is not ExperimentState.ACTIVE:
            return
        limit = getattr(experiment.config.searcher, "max_concurrent_trials", 0) or float("inf")
        active = sum(t.active for t in experiment.trials.values())
        while active < limit and self._start_one():
            active += 1
        if active == 0:
            self._end()

    def _start_one(self) -> bool:
        experiment, method = self.experiment, self.method
        for trial in experiment.trials.values():
            if trial.state is TrialState.PAUSED and trial.held_by_user and not trial.holding:
                self.request(trial, self.next_target(trial))
                return True
        for trial_id, target in method.promotable(experiment):
            if not experiment.trials[trial_id].holding:
                self.request(experiment.trials[trial_id], target)
                return True
        number = len(experiment.trials)
        if number >= method.total(experiment):
            return False
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
        return True

    def _end(self) -> None:
        """The search is over, unless somebody still holds slots or waits for them to be free."""
        experiment = self.experiment
        if any(trial.holding for trial in experiment.trials.values()):
            return
        for trial in list(experiment.trials.values()):
            if not trial.over:
                self.emit(
                    TrialStopped(
                        experiment_id=experiment.experiment_id,
                        trial_id=trial.trial_id,
                        reason=f"the search ended: {trial.reason}",
                    )
                )
        trials = len(experiment.trials)
        failed = [t for t in experiment.trials.values() if t.state is TrialState.FAILED]
        if len(failed) == trials and failed:
            self.emit(
                SearchFailed(
                    experiment_id=experiment.experiment_id,
                    reason=f"all {trials} trials failed; the last one: {failed[-1].reason}",
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
        checkpoint=best.checkpoint,
    )
