# ruff: noqa: S101, D102
"""Are the peers driven as they should be? `pytest benchmarks/search/test_peers.py`, in the
benchmark's environment."""

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.search import measure, peer_optuna, peer_ray, peer_syne
from benchmarks.search.__main__ import ROOT, parse
from benchmarks.search.clock import Answer, Clock, Job, Outcome
from benchmarks.search.contenders import CONTENDERS
from benchmarks.search.settings import Settings
from benchmarks.search.table import Config, Table

PEERS = [name for name in CONTENDERS if name.startswith(("Ray", "Syne", "Optuna"))]
CHEAP = [
    name
    for name in CONTENDERS
    if not name.endswith(("GP", "MOBSTER, stopping", "MOBSTER, promotion"))
]


def test_what_is_recorded_is_written_over_only_when_that_is_said() -> None:
    recorded = ROOT / "results" / "search.json"
    assert recorded.exists()
    assert parse([]).json.parent != recorded.parent


def table(count: int = 4, epochs: int = 16) -> Table:
    """Curve x has the accuracy x / 100 + epoch / 1000, and x + 1 seconds an epoch."""
    return Table({
        "space": {"x": {"type": "double", "minval": 0, "maxval": count - 1, "count": count}},
        "max_time": epochs,
        "configurations": [
            {
                "hyperparameters": {"x": x},
                "accuracy": [x / 100 + epoch / 1000 for epoch in range(1, epochs + 1)],
                "seconds": [x + 1.0] * epochs,
            }
            for x in range(count)
        ],
    })  # fmt: skip


class Told:
    """Proposes what it is told, and answers as another contender would."""

    def __init__(self, inner: Any, order: list[int]) -> None:
        self.inner, self.order = inner, order
        self.log: list[tuple[int, int, Answer]] = []

    def next(self, now: float) -> Job | None:
        job: Job | None = self.inner.next(now)
        return job and Job(job.trial, {"x": self.order[job.trial]})

    def report(self, trial: int, epoch: int, value: float, now: float) -> Answer:
        answer: Answer = self.inner.report(trial, epoch, value, now)
        self.log.append((self.order[trial], epoch, answer))
        return answer

    def ends(self) -> dict[int, int]:
        """How far each curve was trained."""
        return {x: epoch for x, epoch, _ in self.log}


def told(name: str, order: list[int]) -> Told:
    """One worker, one trial after another, in a given order of curves."""
    t = table()
    contender = Told(CONTENDERS[name](t, Settings(0, 1, 4, len(order))), order)
    Clock(t, contender, 1).run(math.inf, math.inf)
    return contender


STOPPING = ["Ray Tune ASHA", "Syne Tune ASHA, stopping", "Optuna random, halving"]


@pytest.mark.parametrize("name", STOPPING)
def test_stopping_stops_what_is_worse_than_the_best_quarter(name: str) -> None:
    assert told(name, [3, 2, 1, 0]).ends() == {3: 16, 2: 1, 1: 1, 0: 1}


@pytest.mark.parametrize("name", STOPPING)
def test_stopping_lets_all_pass_that_come_in_ascending_order(name: str) -> None:
    assert told(name, [0, 1, 2, 3]).ends() == {0: 16, 1: 16, 2: 16, 3: 16}


def test_promotion_pauses_each_at_its_rung_and_resumes_the_best_where_it_was() -> None:
    log = told("Syne Tune ASHA, promotion", [0, 1, 2, 3]).log
    assert [(x, e) for x, e, answer in log if answer == "pause"][:2] == [(0, 1), (1, 1)]
    assert all(answer == "pause" for _, epoch, answer in log if epoch in (1, 4))
    of_best = [epoch for x, epoch, _ in log if x == 3]
    assert of_best == list(range(1, len(of_best) + 1))  # nothing is trained twice
    assert max(of_best) >= 4  # promoted from the first rung


def test_syne_tune_is_given_our_rungs() -> None:
    assert peer_syne.rungs(81, 4) == [1, 5, 20]
    assert peer_syne.rungs(81, 3) == [1, 3, 9, 27]
    made = peer_syne.scheduler("ASHA", "stopping", table(epochs=81), Settings(0, 1, 4, 4))
    assert made.scheduler.rung_levels == [1, 5, 20]


def test_ray_tune_rungs() -> None:
    made = peer_ray.asha(table(epochs=81), Settings(0, 1, 4, 4))
    assert [level for level, _ in made.scheduler._brackets[0]._rungs] == [64, 16, 4, 1]


def test_optuna_hyperband_has_all_brackets() -> None:
    t = table(epochs=81)
    made = peer_optuna.pruned("random", "Hyperband", t, Settings(0, 1, 4, 100))
    Clock(t, made, 1).run(math.inf, math.inf)
    brackets = {made.study.pruner._get_bracket_id(made.study, trial) for trial in made.study.trials}  # type: ignore[attr-defined]
    assert brackets == {0, 1, 2, 3}


@pytest.mark.parametrize("form", ["stopping", "promotion"])
def test_mobster_proposes_by_its_model(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the random ones it proposes near the best curve more often than chance does."""
    t, settings = table(count=64, epochs=16), Settings(0, 4, 4, 40)
    made = peer_syne.scheduler("MOBSTER", form, t, settings)
    Clock(t, made, 4).run(math.inf, math.inf)
    late: list[Config] = [trial.config for trial in made.trials[20:]]
    assert sum(config["x"] >= 48 for config in late) > 10  # of 20; chance gives 5


def run(name: str, seed: int, t: Table) -> Outcome:
    outcome = Clock(t, CONTENDERS[name](t, Settings(seed, 4, 4, 40)), 4).run(200, 2000)
    outcome.cpu = 0
    return outcome


@pytest.mark.parametrize("name", CHEAP)
def test_a_seed_repeats_and_another_differs(name: str) -> None:
    t = table(count=64)
    assert run(name, 1, t) == run(name, 1, t)
    assert run(name, 1, t) != run(name, 2, t)


@pytest.mark.parametrize("name", [name for name in PEERS if name in CHEAP])
def test_no_more_trials_than_allowed(name: str) -> None:
    t = table(count=64)
    outcome = Clock(t, CONTENDERS[name](t, Settings(0, 4, 4, 40)), 4).run(math.inf, math.inf)
    assert outcome.trials == 40 or outcome.units_to_target is not None


def test_clock_counts_units_and_seconds() -> None:
    t = table()
    outcome = Clock(t, CONTENDERS["grid, full length"](t, Settings(0, 4, 4, 4)), 4).run(64, 64)
    assert (outcome.units, outcome.trials, outcome.full) == (16 * 4, 4, 4)
    assert outcome.seconds_to_target == 4.0 * 16  # curve 3 takes four seconds an epoch
    assert outcome.best[0] == (1, 1.0, 0.001)


def test_lookup_is_nearest_in_the_exponent() -> None:
    t = Table({
        "space": {"lr": {"type": "log", "base": 10, "minval": -2, "maxval": 0, "count": 2}},
        "max_time": 1,
        "configurations": [
            {"hyperparameters": {"lr": lr}, "accuracy": [lr], "seconds": [1.0]}
            for lr in (0.01, 1.0)
        ],
    })  # fmt: skip
    assert t.row({"lr": 0.09}).metric == [0.01]
    assert t.row({"lr": 0.11}).metric == [1.0]


def test_a_run_that_is_on_record_is_not_played_again(tmp_path: Path) -> None:
    """Nor is one that was cut short taken for a result."""
    kept, one, two, three = tmp_path / "runs", [("a", 1)], [("b", 2)], [("c", 3)]
    assert measure.play_all(dict, [one, two], 1, kept) == [{"a": 1}, {"b": 2}]
    kept.write_text(kept.read_text().replace('"b": 2', '"b": 5') + '["three", {"val')
    assert measure.play_all(dict, [one, two, three], 1, kept) == [{"a": 1}, {"b": 5}, {"c": 3}]
    assert len(measure.recorded(kept)) == 3
