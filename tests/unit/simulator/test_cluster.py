"""The cluster in virtual time: repeatable, whole under faults, and promises that can be broken."""

import os
import random
from typing import Any

import pytest

from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    Event,
    NodeAdmitted,
    Placement,
    Rendezvous,
    RunOrder,
    SearchAccepted,
    SearchCompleted,
    Slot,
    StartOrdered,
    Task,
    TrialCreated,
    TrialRequested,
)
from shoal_contract.parse import parse_experiment
from shoal_contract.states import Outcome
from shoal_simulator.cluster import Scenario, Simulation
from shoal_simulator.watch import BrokenPromiseError, Watch

SEEDS = int(os.environ.get("SHOAL_SEEDS", "16"))
"""How many drawn scenarios are played; `make test-seeds` plays thousands."""
METHODS: list[dict[str, Any]] = [
    {"name": "single"},
    {"name": "random", "max_trials": 5},
    {"name": "grid"},
    {"name": "async_halving", "max_trials": 10, "divisor": 2, "num_rungs": 3},
    {"name": "async_halving", "max_trials": 10, "divisor": 3, "stop_once": True},
    {"name": "adaptive_asha", "max_trials": 10, "divisor": 3},
    {"name": "hyperband", "divisor": 3},
    {"name": "pbt", "population_size": 4, "rounds": 3},
    {"name": "random", "max_trials": 6, "budget": {"slot_hours": 0.2}},
]
FAULTS: list[dict[str, Any]] = [
    {},
    {"duplicate": 0.05, "loss": 0.05},
    {"crash_every": 150},
    {"node_death_every": 400},
    {"duplicate": 0.03, "loss": 0.03, "crash_every": 200, "node_death_every": 600},
]
SPACE = {"lr": {"type": "log", "minval": -4, "maxval": -1, "count": 4}}


def scenario(seed: int, **changes: Any) -> Scenario:
    """A few experiments of drawn methods and sizes, on nodes and on a pool that shrinks."""
    rng = random.Random(seed)
    experiments = []
    for _ in range(rng.randint(1, 3)):
        searcher = {"metric": "loss", "max_time": 9, **rng.choice(METHODS)}
        if searcher["name"] != "single":
            searcher["max_concurrent_trials"] = rng.choice([2, 4, 8])
        pool = {"slots_per_trial": rng.choice([1, 2, 4, 6]),
                "resource_pool": rng.choice(["default", "spot"])}  # fmt: skip
        experiments.append(
            {
                "at": rng.uniform(0, 300),
                "seconds_per_unit": {"V100": 5, "P100": 9},
                "config": {
                    "name": "a", "entrypoint": "x", "hyperparameters": SPACE,
                    "searcher": searcher, "resources": pool,
                },
            }
        )  # fmt: skip
    given: dict[str, Any] = {
        "seed": seed,
        "until": 200_000,
        "nodes": [{"count": 2, "slots": 4, "model": "V100"}],
        "pools": [{"name": "spot", "max_instances": 4, "slots_per_instance": 4,
                   "max_idle_period": 120, "max_starting_period": 300}],
        "clouds": {"spot": {"start_seconds": 60, "notice": 20, "model": "P100",
                            "capacity": [[0, 4], [400, 1], [900, 4], [1300, 0], [2000, 3]]}},
        "experiments": experiments,
        "faults": rng.choice(FAULTS),
    }  # fmt: skip
    return Scenario.model_validate(given | changes)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_goes_wrong_every_experiment_ends_and_no_promise_is_broken(seed: int) -> None:
    report = Simulation(scenario(seed)).run()
    assert report.finished == report.experiments > 0


def test_the_same_seed_is_the_same_history_to_the_last_byte() -> None:
    def history() -> list[str]:
        simulation, told = Simulation(scenario(4, faults=FAULTS[-1])), list[str]()

        def note(events: Any, now: float) -> None:
            told.extend(f"{now} {event.type} {event.model_dump_json()}" for event in events)

        simulation.network.watchers.append(note)
        simulation.run()
        return told

    first = history()
    assert len(first) > 100
    assert history() == first


def test_a_crash_costs_time_and_nothing_else() -> None:
    def best(**changes: Any) -> list[Any]:
        simulation, found = Simulation(scenario(1, **changes)), list[Any]()

        def note(events: Any, now: float) -> None:
            found.extend(e.best for e in events if isinstance(e, SearchCompleted))

        simulation.network.watchers.append(note)
        simulation.run()
        return [(one.trial_id, one.metric) for one in found]

    only_full = {"experiments": [scenario(1).model_dump()["experiments"][0] | {
        "at": 0.0, "config": {"name": "a", "entrypoint": "x", "hyperparameters": SPACE,
                              "searcher": {"name": "random", "max_trials": 6, "metric": "loss",
                                           "max_time": 9}}}]}  # fmt: skip
    quiet = best(faults={}, **only_full)
    assert quiet
    assert best(faults={"crash_every": 40, "loss": 0.1}, **only_full) == quiet


def test_a_machine_that_goes_costs_what_was_not_saved() -> None:
    config = {"name": "a", "entrypoint": "x",
              "searcher": {"name": "single", "metric": "loss", "max_time": 20}}  # fmt: skip
    job = [{"seconds_per_unit": 10, "config": config}]
    plain = scenario(0, experiments=job, faults={}, pools=[], clouds={}, checkpoint_every=5)
    assert Simulation(plain).run().units == 20
    simulation = Simulation(plain)
    simulation.clock.at(95.0, lambda: [node.die() for node in simulation._nodes.values()] and None)
    simulation.clock.at(
        120.0, lambda: [node.join() for node in simulation._nodes.values()] and None
    )
    report = simulation.run()
    assert (report.completed, report.losses) == (1, 1)
    assert 20 < report.units <= 25


def task(trial_id: str) -> Task:
    return Task(
        experiment_id="e", trial_id=trial_id, attempt=1, entrypoint=["x"], bundle=None,
        hyperparameters={}, seed=0, environment={}, metric="m", smaller_is_better=True,
        time_metric="step", target=1, storage_url="memory://", checkpoint=None,
    )  # fmt: skip


def node() -> NodeAdmitted:
    return NodeAdmitted(
        node_id="n", incarnation="i", pool="p", host="h", ports=[1], instance_id=None,
        slots=[Slot(number=n, kind="cpu", model="cpu") for n in range(2)],
    )  # fmt: skip


def granted(trial_id: str, slots: list[int], start: bool = True, node_id: str = "n") -> list[Event]:
    place = Placement(node_id=node_id, incarnation="i", slots=slots)
    meet = Rendezvous(host="h", port=1)
    grant = AllocationGranted(
        experiment_id="e", allocation_id=f"{trial_id}-a1", trial_id=trial_id, attempt=1,
        placements=[place], rendezvous=meet, at=0.0,
    )  # fmt: skip
    order = RunOrder(
        allocation_id=f"{trial_id}-a1", run_id=f"{trial_id}-a1-r0", node_rank=0, first_rank=0,
        slots=slots, world_size=len(slots), rendezvous=meet, task=task(trial_id),
    )  # fmt: skip
    started = StartOrdered(
        node_id=node_id, incarnation="i", allocation_id=f"{trial_id}-a1", run=order
    )
    return [grant, started] if start else [grant]


def ended(trial_id: str) -> AllocationEnded:
    return AllocationEnded(
        experiment_id="e", allocation_id=f"{trial_id}-a1", trial_id=trial_id, attempt=1,
        outcome=Outcome.STOPPED, reason="", slots=1, seconds=1.0,
    )  # fmt: skip


def created(trial_id: str) -> TrialCreated:
    return TrialCreated(experiment_id="e", trial_id=trial_id, number=0, hyperparameters={}, seed=0)


def requested(trial_id: str) -> TrialRequested:
    config = parse_experiment(
        {"name": "a", "entrypoint": "x",
         "searcher": {"name": "single", "metric": "m", "max_time": 1}}
    )  # fmt: skip
    return TrialRequested(
        experiment_id="e", trial_id=trial_id, attempt=1, task=task(trial_id),
        resources=config.resources,
    )  # fmt: skip


def accepted() -> SearchAccepted:
    config = parse_experiment(
        {"name": "a", "entrypoint": "x",
         "searcher": {"name": "single", "metric": "m", "max_time": 1}}
    )  # fmt: skip
    return SearchAccepted(experiment_id="e", config=config, bundle=None, storage_url="memory://")


DONE = SearchCompleted(experiment_id="e", reason="")


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ([[node()], granted("e-0", [0]), granted("e-1", [0, 1])], "while e-0-a1 holds it"),
        ([granted("e-0", [0])], "which is not there"),
        ([[node()], granted("e-0", [2])], "which is not there"),
        ([[node()], granted("e-0", [0], start=False)], "only partly placed"),
        ([[node()], granted("e-0", [0]), [ended("e-0")]], "ended and still holds"),
        ([[node()], [ended("e-0")], granted("e-0", [0])], "which had ended"),
        ([[created("e-0")], [created("e-0")]], "created twice"),
        ([[created("e-0"), requested("e-0")], [requested("e-0")]], "which is wanted"),
        ([[accepted()], [DONE], [DONE]], "which is completed"),
    ],
)
def test_a_broken_promise_is_seen(history: list[list[Event]], said: str) -> None:
    watch = Watch()
    for events in history[:-1]:
        watch(events, 1.0)
    with pytest.raises(BrokenPromiseError, match=said):
        watch(history[-1], 2.0)
