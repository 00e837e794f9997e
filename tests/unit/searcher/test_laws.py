"""The laws of every decider, and the searcher's own invariants, over random histories."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from laws.decider_laws import RELAXED, DeciderLaws
from unit.searcher.pool import REQUESTS, Pool, config

from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    Checkpoint,
    CheckpointSaved,
    ExperimentChangeRequested,
    ExperimentFinishRequested,
    ExperimentSubmitted,
    PastResult,
    Placement,
    Rendezvous,
    TrialCreateRequested,
    TrialExtendRequested,
    TrialStopRequested,
    ValidationReported,
)
from shoal_contract.states import Outcome
from shoal_decider import Decider, Tick
from shoal_searcher.core.decider import SearcherDecider
from shoal_searcher.core.messages import Found, Proposals
from shoal_searcher.core.methods import concurrent
from shoal_searcher.core.sampling import ready
from shoal_searcher.core.state import State

GRID = {"x": {"type": "categorical", "vals": [1, 2, 3]}}
CONFIGS = [
    config("single", max_restarts=1),
    config("random", max_trials=4, max_concurrent_trials=2, max_restarts=0),
    config("grid", hyperparameters=GRID, max_concurrent_trials=0),
    config("async_halving", max_trials=6, divisor=2, num_rungs=3, max_concurrent_trials=3),
    config("async_halving", max_trials=6, divisor=2, num_rungs=3, stop_once=True,
           max_concurrent_trials=2),
    config("adaptive_asha", max_trials=9, divisor=2, max_concurrent_trials=3),
    config("hyperband", max_time=8, divisor=2, max_concurrent_trials=3),
    config("pbt", population_size=4, rounds=3, truncate_fraction=0.5, max_restarts=1),
    config("random", max_trials=5, max_concurrent_trials=2, sampler="tpe",
           early_stopping=[{"name": "median", "min_trials": 1}], objectives=[{"metric": "size"}]),
    config("async_halving", max_trials=6, divisor=2, sampler={"name": "gp", "startup_trials": 0},
           budget={"units": 90, "slot_hours": 1}, max_concurrent_trials=2),
    config("random", max_trials=5, sampler="qmc", max_concurrent_trials=2),
    config("random", max_trials=3, warm_start=["y"], source_trial_id="y-0"),
    config("custom", max_concurrent_trials=2),
    config("random", max_trials=2, hyperparameters={"x": {"type": "log", "minval": 0,
                                                          "maxval": 999}}),
]  # fmt: skip
ALONE = [
    c
    for c in CONFIGS[:-1]
    if c.searcher.name != "custom" and not getattr(c.searcher, "warm_start", ())
]
"""Those that need nothing but a pool."""
EXPERIMENTS = st.sampled_from("abz")
NUMBERS = st.integers(0, 6)
ATTEMPTS = st.sampled_from([1, 1, 1, 2, 2, 3])
VALUES = st.sampled_from([0.0, 1.0, 2.0, -3.0, 1e300, float("nan"), float("inf"), None])


def of(experiment_id: str, n: int, attempt: int) -> dict[str, Any]:
    trial_id = f"{experiment_id}-{n}"
    allocation_id = f"{trial_id}-a{attempt}"
    return {"experiment_id": experiment_id, "trial_id": trial_id, "allocation_id": allocation_id}


TRIALS = st.tuples(EXPERIMENTS, NUMBERS, ATTEMPTS)
SUBMITTED = st.builds(
    lambda e, c: ExperimentSubmitted(experiment_id=e, config=c, storage_url="file:///s"),
    EXPERIMENTS, st.sampled_from(CONFIGS),
)  # fmt: skip
REQUESTED = st.builds(
    lambda e, verb: REQUESTS[verb](experiment_id=e),
    EXPERIMENTS, st.sampled_from(["pause", "pause", "resume", "resume", "cancel"]),
)  # fmt: skip
REPORTED = st.builds(
    lambda t, time, value: ValidationReported(
        **of(*t), attempt=t[2], step=max(0, time), time=time, at=0.0,
        metrics={} if value is None else {"loss": value},
    ),
    TRIALS, st.sampled_from([-1, 0, 1, 4, 16, 20, 32, 64, 70]), VALUES,
)  # fmt: skip
SAVED = st.builds(
    lambda t, step: CheckpointSaved(
        **of(*t), checkpoint=Checkpoint(url="file:///c", step=step, attempt=t[2])
    ),
    TRIALS, st.integers(0, 70),
)  # fmt: skip
ENDED = st.builds(
    lambda t, outcome, last: AllocationEnded(
        **of(*t), attempt=t[2], outcome=outcome, reason="r", slots=1, seconds=1.0, last_time=last
    ),
    TRIALS, st.sampled_from(Outcome), st.sampled_from([None, None, 1, 16, 70]),
)  # fmt: skip
GRANTED = st.builds(
    lambda t, at: AllocationGranted(
        **of(*t), attempt=t[2], at=at, rendezvous=Rendezvous(host="h", port=1),
        placements=[Placement(node_id="n", incarnation="i", slots=[0])],
    ),
    TRIALS, st.floats(0, 9e6),
)  # fmt: skip
ASKED = st.one_of(
    st.builds(ExperimentChangeRequested, experiment_id=EXPERIMENTS,
              max_trials=st.sampled_from([None, 1, 9]),
              max_concurrent_trials=st.sampled_from([None, 0, 1, 4])),
    st.builds(ExperimentFinishRequested, experiment_id=EXPERIMENTS),
    st.builds(TrialCreateRequested, experiment_id=EXPERIMENTS, request_id=st.sampled_from("pqrs"),
              hyperparameters=st.just({"x": 1}), target=st.sampled_from([None, 4, 100])),
    st.builds(lambda t, target: TrialExtendRequested(experiment_id=t[0], trial_id=f"{t[0]}-{t[1]}",
                                                     target=target),
              TRIALS, st.sampled_from([1, 16, 64, 200])),
    st.builds(lambda t, kill: TrialStopRequested(experiment_id=t[0], trial_id=f"{t[0]}-{t[1]}",
                                                 at_once=kill),
              TRIALS, st.booleans()),
)  # fmt: skip
ANSWERED = st.one_of(
    st.builds(Proposals, experiment_id=EXPERIMENTS, ask=st.integers(0, 3), known=st.integers(0, 5),
              proposals=st.lists(st.fixed_dictionaries({"lr": st.floats(1e-4, 0.1)}), max_size=3)),
    st.builds(Found, experiment_id=EXPERIMENTS, missing=st.sampled_from(["", "", "no y"]),
              results=st.just([PastResult(hyperparameters={"lr": 0.01}, time=9, metric=1.0)]),
              checkpoint=st.sampled_from([None, Checkpoint(url="file:///y", step=5, attempt=1)])),
)  # fmt: skip
BODIES = st.one_of(
    SUBMITTED, SUBMITTED, REQUESTED, REPORTED, REPORTED, SAVED, ENDED, ENDED, GRANTED, ASKED,
    ANSWERED, st.just(Tick()),
)  # fmt: skip


def check(state: State) -> None:
    """What holds of every state."""
    assert not state.experiments.keys() & state.ended.keys()
    for experiment in state.experiments.values():
        trials = list(experiment.trials.values())
        if experiment.max_concurrent_trials is None:
            assert sum(t.active for t in trials) <= concurrent(experiment)
        assert experiment.copies == sum(t.origin == "pbt" for t in trials)
        gone = {t.number for t in trials if t.state in ("failed", "cancelled")}
        assert set(experiment.gone) == gone
        assert experiment.places == {t.trial_id: t.bracket for t in trials if t.placed}
        assert [b.created for b in experiment.brackets] == [
            sum(t.bracket == n for t in trials) for n in range(len(experiment.brackets))
        ]
        for trial in trials:
            assert not trial.active or trial.holding or trial.awaits is not None
            assert not trial.active or trial.target > trial.time
            assert experiment.state == "active" or not trial.active
            rungs = experiment.brackets[trial.bracket].rungs
            counted = [n for n, rung in enumerate(rungs) if trial.number in rung.costs]
            assert trial.origin == "pbt" or counted == list(range(trial.rung + 1))
        for bracket in experiment.brackets:
            for number, rung in enumerate(bracket.rungs):
                places = [(costs[0], n) for n, costs in rung.costs.items()]
                assert rung.order == sorted(places)
                waits = [p for p in rung.order if experiment.trial(p[1]).waits]
                assert rung.waiting == [p for p in waits if experiment.trial(p[1]).rung == number]
                several = len(experiment.config.searcher.directions) > 1
                assert sum(map(len, rung.fronts)) == (len(rung.costs) if several else 0)
        begun = ready(experiment) and experiment.config.searcher.name != "custom"
        if experiment.state == "active" and begun:  # somebody is always under way: it will end
            assert any(t.holding or (t.active and t.awaits is not None) for t in trials)


class TestSearcher(DeciderLaws):
    examples = 60
    longest = 60

    def decider(self) -> Decider[Any]:
        return SearcherDecider()

    def messages(self) -> st.SearchStrategy[Any]:
        return BODIES

    def check(self, state: State) -> None:
        check(state)


@settings(max_examples=150, **RELAXED)
@given(st.lists(BODIES, max_size=60))
def test_every_event_is_allowed_by_the_tables(bodies: list[Any]) -> None:
    pool = Pool()
    for body in bodies:
        pool.tell(body)
    pool.check_replay()


@settings(max_examples=150, **RELAXED)
@given(st.sampled_from(ALONE), st.data())
def test_whatever_happens_a_search_ends_and_runs_no_trial_twice(found: Any, data: Any) -> None:
    """A lawful world: only attempts that hold slots report and end, each once."""
    pool = Pool(found)
    for _ in range(120):
        check(pool.runner.state)
        if "e" not in pool.runner.state.experiments:
            break
        holding = [t.number for t in pool.experiment.trials.values() if t.holding]
        act = data.draw(st.sampled_from(["report", "report", "save", "end", "pause", "resume"]))
        if act in ("pause", "resume"):
            pool.ask(act)
        elif act == "save":
            for n in holding:
                pool.save(n, max(0, pool.trial(n).time))
        elif holding:
            n = data.draw(st.sampled_from(holding))
            if act == "end":
                pool.end(n, data.draw(st.sampled_from(Outcome)))
            else:
                pool.report(n, pool.targets[f"e-{n}"], data.draw(VALUES))
    if "e" in pool.runner.state.experiments:
        pool.ask("resume")
        pool.train(lambda n, t: float(n))
    assert pool.searches["e"] in ("completed", "failed")
    assert all(state in ("completed", "stopped", "failed") for state in pool.trials.values())
    attempts = Counter((e.trial_id, e.attempt) for e in pool.events if e.type == "trial.requested")  # type: ignore[attr-defined]
    assert set(attempts.values()) == {1}
    pool.check_replay()
