"""The cluster in virtual time: repeatable, whole under faults, and promises that can be broken."""

import os
import random
from functools import partial
from typing import Any

import pytest

from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    AllocationQueued,
    AllocationReleasing,
    Event,
    ExperimentSubmitted,
    ExtendOrdered,
    NodeAdmitted,
    Placement,
    Rendezvous,
    RunOrder,
    RunSettled,
    SearchAccepted,
    SearchCompleted,
    Slot,
    StartOrdered,
    Task,
    TrialCreated,
    TrialRequested,
)
from shoal_contract.events.instance import InstanceMetered
from shoal_contract.parse import parse_experiment
from shoal_contract.states import Outcome, StopReason
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


PATIENCE = 120_000.0
"""Seconds that one attempt may wait: a day, until a pool may spend again, and then for others."""


def sharing(rng: random.Random) -> dict[str, Any]:
    """How the pools are shared."""
    config = {
        "policy": rng.choice(["fifo", "fair_share", "priority", "throughput"]),
        "fit": rng.choice(["best", "worst"]),
        "preemption": rng.random() < 0.8,
        "min_run": rng.choice([0, 5, 60]),
        "resize_after": rng.choice([5, 60]),
        "ageing": rng.choice([0, 30]),
        "share_by": rng.choice(["experiment", "workspace"]),
        "round": rng.choice([10, 60]),
    }
    quota = {"max_slots": rng.choice([8, 12])}
    return {
        "pools": {"default": config, "spot": config},
        "workspaces": {"w": rng.choice([{}, quota]), "v": {"weight": 2}},
    }


def resources(rng: random.Random) -> dict[str, Any]:
    """What each trial of an experiment asks for."""
    slots = rng.choice([1, 2, 4, 6])
    drawn = {
        **rng.choice([{"slots_per_trial": slots}, {"slots": {"min": min(slots, 4), "max": 8}}]),
        **rng.choice([
            {"resource_pool": "default"},
            {"resource_pool": "spot"},
            {"resource_pools": ["default", "spot"], "burst_after": rng.choice([0, 20])},
            {"resource_pools": ["spot", "default"], "burst_after": rng.choice([0, 90])},
        ]),
        "priority": rng.choice([1, 42, 90]),
        "weight": rng.choice([1, 3]),
        "workspace": rng.choice(["w", "v"]),
        "max_slots": rng.choice([None, None, 8]),
        "preemptible": rng.random() < 0.9,
        "mixed_types": rng.random() < 0.2,
        "single_node": slots <= 4 and rng.random() < 0.2,
    }  # fmt: skip
    return {name: value for name, value in drawn.items() if value is not None}


def scenario(seed: int, **changes: Any) -> Scenario:
    """A few experiments of drawn methods and sizes, on nodes and on a pool that shrinks, shared in
    drawn ways."""
    rng = random.Random(seed)
    experiments = []
    for _ in range(rng.randint(1, 3)):
        searcher = {"metric": "loss", "max_time": 9, **rng.choice(METHODS)}
        if searcher["name"] != "single":
            searcher["max_concurrent_trials"] = rng.choice([2, 4, 8])
        experiments.append(
            {
                "at": rng.uniform(0, 300),
                "seconds_per_unit": {"V100": 5, "P100": 9},
                "config": {
                    "name": "a", "entrypoint": "x", "hyperparameters": SPACE,
                    "searcher": searcher, "resources": resources(rng),
                },
            }
        )  # fmt: skip
    given: dict[str, Any] = {
        "seed": seed,
        "until": 400_000,
        "nodes": [{"count": 2, "slots": 4, "model": "V100"}],
        "pools": [{"name": "spot", "max_instances": 4, "slots_per_instance": 4,
                   "max_idle_period": 120, "max_starting_period": 300,
                   "kinds": [{"machine_type": "m", "price": {"on_demand": 1.0}}],
                   "budget": rng.choice([{}, {}, {"per_hour": 2.5}, {"per_day": 2.5}])}],
        "clouds": {"spot": {"start_seconds": 60, "notice": 20, "model": "P100",
                            "capacity": [[0, 4], [400, 1], [900, 4], [1300, 0], [2000, 3]]}},
        "experiments": experiments,
        "scheduler": sharing(rng),
        "faults": rng.choice(FAULTS),
    }  # fmt: skip
    return Scenario.model_validate(given | changes)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_goes_wrong_every_experiment_ends_and_no_promise_is_broken(seed: int) -> None:
    simulation = Simulation(scenario(seed))
    simulation.watch.patience = PATIENCE
    report = simulation.run()
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


def test_a_run_that_is_extended_before_it_started_trains_up_to_its_new_target() -> None:
    slow = {"faults": {"delay": (0.0, 0.0)}, "start_seconds": 30.0, "pools": [], "clouds": {}}
    config = {"name": "a", "entrypoint": "x",
              "searcher": {"name": "single", "metric": "loss", "max_time": 20}}  # fmt: skip
    simulation = Simulation(
        scenario(0, experiments=[{"seconds_per_unit": 10, "config": config}], **slow)
    )

    def extend(events: Any, now: float) -> None:
        for event in events:
            if isinstance(event, StartOrdered):
                longer = ExtendOrdered(
                    node_id=event.node_id, incarnation=event.incarnation, target=25,
                    allocation_id=event.allocation_id, run_id=event.run.run_id,
                )  # fmt: skip
                later = partial(simulation.network.publish, [longer])
                simulation.clock.after(5.0, later)

    simulation.network.watchers.append(extend)
    gangs = simulation.training.gangs
    simulation.clock.at(60.0, lambda: targets.extend(gang.target for gang in gangs.values()))
    targets: list[int] = []
    simulation.run()
    assert targets == [25]


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


def settled(trial_id: str) -> RunSettled:
    name = f"{trial_id}-a1"
    return RunSettled(
        experiment_id="e", allocation_id=name, run_id=f"{name}-r0", node_id="n",
        outcome=Outcome.STOPPED, reason="",
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


def queued(trial_id: str) -> AllocationQueued:
    request = requested(trial_id)
    return AllocationQueued(
        experiment_id="e", allocation_id=f"{trial_id}-a1", trial_id=trial_id, task=request.task,
        resources=request.resources,
    )  # fmt: skip


def leaving(trial_id: str) -> AllocationReleasing:
    name = f"{trial_id}-a1"
    return AllocationReleasing(experiment_id="e", allocation_id=name, reason=StopReason.CLOSED)


def metered(since: float, cost: float) -> InstanceMetered:
    return InstanceMetered(
        pool="p", instance_id="p-0", use="idle", slots=1, shares={}, next_shares={}, since=since,
        at=since + 1, cost=cost, list_cost=cost, kind="m", spot=False,
    )  # fmt: skip


def submitted(slot_hours: float) -> ExperimentSubmitted:
    searcher = {
        "name": "single",
        "metric": "m",
        "max_time": 1,
        "budget": {"slot_hours": slot_hours},
    }
    config = parse_experiment({"name": "a", "entrypoint": "x", "searcher": searcher})
    return ExperimentSubmitted(experiment_id="e", config=config, storage_url="memory://")


@pytest.mark.parametrize(
    ("before", "after", "seconds", "said"),
    [
        ([queued("e-0")], [], 101, "e-0-a1 has waited for 101 s"),
        ([queued("e-0"), node(), *granted("e-0", [0])], [], 1000, None),
        ([node(), *granted("e-0", [0]), leaving("e-0")], [], 901, "to leave 901 s ago"),
        ([metered(3500, 0.6)], [metered(3590, 0.5)], 0, "spent 1.10 of 1.0 per_hour"),
        ([metered(3500, 0.6)], [metered(3600, 0.5)], 0, None),
        ([submitted(0.1), node(), *granted("e-0", [0])],
         [settled("e-0"), ended("e-0")], 481, "had used 361 of 360 slot-seconds"),
        ([submitted(0.1), node(), *granted("e-0", [0])],
         [settled("e-0"), ended("e-0")], 480, None),
    ],
)  # fmt: skip
def test_what_takes_too_long_or_costs_too_much_is_seen(
    before: list[Event], after: list[Event], seconds: float, said: str | None
) -> None:
    watch = Watch(patience=100, budgets={"p": {"per_hour": 1.0}})
    watch(before, 0.0)
    if said is None:
        watch(after, seconds)
        return
    with pytest.raises(BrokenPromiseError, match=said):
        watch(after, seconds)
