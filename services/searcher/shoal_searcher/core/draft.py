"""A draft: one experiment as it will be after the events decided so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shoal_contract import ids
from shoal_contract.config import Environment
from shoal_contract.events import (
    BestTrial,
    Event,
    SearchBegun,
    SearchCompleted,
    SearchFailed,
    Task,
    TrialCreated,
    TrialRequested,
    TrialStopped,
)
from shoal_contract.events.trial import Container
from shoal_contract.states import ExperimentState, TrialState
from shoal_searcher.core import space
from shoal_searcher.core.evolve import evolve_experiment
from shoal_searcher.core.methods import METHODS, Bracket, Method, concurrent
from shoal_searcher.core.propose import Proposal
from shoal_searcher.core.ranking import pareto_front
from shoal_searcher.core.sampling import PATIENCE, grounded, overdue, ready, sampler_of, why_drawn
from shoal_searcher.core.state import BracketState, Experiment, Rung, Trial

CHUNK = 400
"""Events after which a message's decisions pause until the next tick: a journal takes them in one
atomic batch, which NATS limits to 1,000."""


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
                    "gone": dict(experiment.gone),
                    "places": dict(experiment.places),
                    "brackets": [_copied(bracket) for bracket in experiment.brackets],
                    "requests": dict(experiment.requests),
                    "means": {time: list(found) for time, found in experiment.means.items()},
                    "proposals": list(experiment.proposals),
                    "asks": list(experiment.asks),
                    "told": list(experiment.told),
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

    def request(self, trial: Trial, target: int, reason: str) -> None:
        """Ask for slots for the next attempt of a trial, from its latest checkpoint."""
        config = self.experiment.config
        attempt = trial.attempt + 1
        source, inherits = trial.source, trial.inherits
        if source is None and self.experiment.source is not None:  # found since it was created
            source, inherits = self.experiment.source, "weights"
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
            checkpoint=trial.checkpoint or source,
            inherits="nothing" if trial.checkpoint is not None else inherits,
            workspace=config.resources.workspace,
            secrets=config.environment.secrets,
            container=_container(config.environment),
            max_restarts=config.max_restarts,
            preload=config.environment.preload,
        )
        self.emit(
            TrialRequested(
                experiment_id=self.experiment.experiment_id,
                trial_id=trial.trial_id,
                attempt=attempt,
                task=task,
                resources=config.resources,
                reason=reason,
            )
        )

    def create(self, proposal: Proposal, bracket: int = 0) -> Trial:
        """A new trial, which wants no slots yet."""
        experiment = self.experiment
        number = len(experiment.trials)
        trial_id = ids.trial_id(experiment.experiment_id, number)
        self.emit(
            TrialCreated(
                experiment_id=experiment.experiment_id,
                trial_id=trial_id,
                number=number,
                hyperparameters=proposal.hyperparameters,
                seed=space.trial_seed(experiment.config.seed, number),
                bracket=bracket,
                origin=proposal.origin,
                parent=proposal.parent,
                source=proposal.source,
                inherits=proposal.inherits,
                rung=proposal.rung,
                target=proposal.target,
                request_id=proposal.request_id,
                reason=why_drawn(experiment) if proposal.origin == "random" else "",
            )
        )
        return experiment.trials[trial_id]

    def start(self, trial: Trial, reason: str = "its first attempt") -> None:
        """Ask for slots for a trial up to where its next result is judged."""
        self.request(trial, self.method.next_target(self.experiment, trial), reason)

    def fill(self, now: float = 0.0) -> None:
        """Bring as many trials into the air as may be: those that a person's pause held first,
        then promotions, then new ones; these by draws, if `now` it is late for the sampler's first
        proposals. Ends the experiment when nothing is left to do.

        A trial whose last attempt still holds its slots keeps a place and waits: two attempts of
        one trial never run at once.
        """
        experiment = self.experiment
        if experiment.closing_at_once:
            self._end()
            return
        if experiment.state is not ExperimentState.ACTIVE:
            return
        plans = self.method.brackets(experiment)
        limit = min(concurrent(experiment), sum(plan.max_concurrent for plan in plans))
        placed = [experiment.trials[trial_id] for trial_id in experiment.places]
        flying = sum(trial.active for trial in placed)
        for trial in placed:
            if self._full():
                return
            if flying >= limit or trial.active or trial.holding or not grounded(experiment):
                continue
            if trial.held_by_user:
                self.start(trial, "goes on after its experiment's pause")
            else:
                self.start(trial)
            flying += 1
        taken = self._widen(plans, limit, len(placed))
        if taken < limit and self._held_back(plans):
            if not overdue(experiment, now):
                return
            name = sampler_of(experiment).name
            reason = f"{name} has proposed nothing for {PATIENCE:g} s"
            self.emit(SearchBegun(experiment_id=experiment.experiment_id, reason=reason))
            taken = self._widen(plans, limit, taken)
        if taken == 0 and not self._full() and self.method.idle(experiment):
            self._end()

    def _full(self) -> bool:
        return len(self.events) >= CHUNK

    def _widen(self, plans: Sequence[Bracket], limit: int, taken: int) -> int:
        """Promote and create until `limit` places are taken; how many then are.

        Each bracket within its share at first; what a bracket has no use for goes to the others.
        """
        experiment = self.experiment
        held = [0] * len(plans)
        for bracket in experiment.places.values():
            held[bracket] += 1
        promoted: dict[str, None] = {}
        for shared in (True, False) if len(plans) > 1 else (True,):
            for bracket, plan in enumerate(plans):
                if taken >= limit or self._full():
                    return taken
                most = min(limit, taken + plan.max_concurrent - held[bracket]) if shared else limit
                before = taken
                for trial_id, further in self.method.promotable(experiment, bracket):
                    if taken >= most or self._full():
                        break
                    if trial_id not in promoted:
                        promoted[trial_id] = None
                        taken += 1
                        self._promote(experiment.trials[trial_id], further)
                while taken < most and not self._full() and self._room(bracket, plan.max_trials):
                    number = len(experiment.trials)
                    self.start(self.create(self.method.propose(experiment, number), bracket))
                    taken += 1
                held[bracket] += taken - before
        return taken

    def _promote(self, trial: Trial, further: int | Proposal) -> None:
        """Let a trial that waits train on, unless its slots are not free yet, or replace it."""
        place = self.method.standing(self.experiment, trial)
        if isinstance(further, Proposal):
            self.start(self.replace(trial, further, place))
        elif not trial.holding:
            self.request(trial, further, f"promoted to {further}: {place}")

    def replace(self, trial: Trial, by: Proposal, place: str) -> Trial:
        """Stop a trial and create another in its stead, which wants no slots yet."""
        self.emit(
            TrialStopped(
                experiment_id=self.experiment.experiment_id,
                trial_id=trial.trial_id,
                reason=f"replaced by a copy of {by.parent}: {place}",
            )
        )
        return self.create(by, trial.bracket)

    def _room(self, bracket: int, most: int) -> bool:
        """Whether another trial may begin in a bracket."""
        return self._wanted(bracket, most) and ready(self.experiment)

    def _wanted(self, bracket: int, most: int) -> bool:
        """Whether a bracket is to have more trials than it has."""
        states = self.experiment.brackets
        created = states[bracket].created if bracket < len(states) else 0
        return created < most and not self.experiment.closing

    def _held_back(self, plans: Sequence[Bracket]) -> bool:
        """Whether trials could begin, were it known what with."""
        experiment = self.experiment
        if experiment.closing or ready(experiment):
            return False
        return any(self._wanted(n, plan.max_trials) for n, plan in enumerate(plans))

    def _end(self) -> None:
        """Close what is left, and the search once no attempt holds slots any more: until then
        the last checkpoints still come in, the best trial's perhaps among them."""
        experiment = self.experiment
        why = experiment.closing or "the search is over"
        for trial in list(experiment.trials.values()):
            if trial.over:
                continue
            if self._full():
                return
            self.emit(
                TrialStopped(
                    experiment_id=experiment.experiment_id,
                    trial_id=trial.trial_id,
                    reason=f"{why}: {self.method.standing(experiment, trial)}",
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
        reason = f"{experiment.closing}; " if experiment.closing else ""
        reason += f"{trials} trials ended"
        if failed:
            reason += f", {len(failed)} of them failed"
        self.emit(
            SearchCompleted(
                experiment_id=experiment.experiment_id,
                reason=reason,
                best=best_of(experiment),
                trials=trials,
                front=front_of(experiment),
            )
        )


def _copied(bracket: BracketState) -> BracketState:
    rungs = [
        Rung.model_construct(
            target=rung.target,
            costs=dict(rung.costs),
            order=list(rung.order),
            waiting=list(rung.waiting),
            fronts=[list(front) for front in rung.fronts],
        )
        for rung in bracket.rungs
    ]
    return BracketState.model_construct(created=bracket.created, rungs=rungs)


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


def front_of(experiment: Experiment) -> list[BestTrial]:
    """The Pareto front, as events tell it; empty with one objective."""
    directions = experiment.config.searcher.directions
    if len(directions) == 1:
        return []
    found = []
    for trial in pareto_front(experiment):
        values = [
            cost if smaller else -cost
            for cost, (_, smaller) in zip(trial.costs, directions, strict=True)
        ]
        metrics = {name: value for (name, _), value in zip(directions, values, strict=True)}
        found.append(
            BestTrial(
                trial_id=trial.trial_id,
                metric=values[0],
                step=trial.step,
                hyperparameters=trial.hyperparameters,
                checkpoint=trial.checkpoint,
                metrics=metrics,
            )
        )
    return found


def _container(environment: Environment) -> Container | None:
    if environment.image is None:
        return None
    return Container(image=environment.image, runtime=environment.runtime)
