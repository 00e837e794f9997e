"""Optuna's samplers, asked as the searcher's child process asks them."""

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from shoal_contract.ranges import flatten, nest
from shoal_searcher.core import space
from shoal_searcher.core.sampling import Ask, Observation
from shoal_searcher.shell import samplers
from shoal_searcher.shell.samplers import answer

ALL = ["tpe", "gp", "cmaes", "nsgaii"]
LEARNED = ["tpe", "gp"]
REBUILT = ["cmaes", "nsgaii"]
EVERYTHING: dict[str, Any] = {
    "lr": {"type": "log", "minval": -4, "maxval": -1},
    "width": {"type": "int", "minval": 2, "maxval": 9},
    "drop": {"type": "double", "minval": -0.5, "maxval": 0.5},
    "opt": {"type": "categorical", "vals": ["sgd", None, 3, [1, 2]]},
    "net": {"depth": {"type": "int", "minval": 1, "maxval": 3}, "name": "unet"},
    "fix": {"type": "const", "val": 7},
    "one": {"type": "int", "minval": 4, "maxval": 4},
}
SQUARE = {n: {"type": "double", "minval": -1, "maxval": 1} for n in "xy"}


def question(sampler: str, of: dict[str, Any] = SQUARE, **changes: Any) -> Ask:
    given: dict[str, Any] = {
        "experiment_id": "e", "number": 0, "sampler": sampler, "seed": 1, "space": of,
        "constraints": (), "objectives": 1, "count": 3, "known": 0, "history": (), "pending": (),
        "asks": (), "told": (),
    }  # fmt: skip
    return Ask(**(given | changes))


@pytest.fixture(autouse=True)
def _no_studies() -> None:
    samplers._studies.clear()


def seen(of: dict[str, Any], count: int, cost: Callable[[dict[str, Any]], Any]) -> Any:
    """Draws, and what each cost."""
    found = []
    for n in range(count):
        values = flatten(space.sample(of, 5, n))
        costs = cost(values)
        found.append(Observation(values, costs if isinstance(costs, tuple) else (costs,)))
    return tuple(found)


def told(count: int, *costs: Callable[[int], float]) -> tuple[tuple[int, tuple[float, ...]], ...]:
    return tuple((n, tuple(cost(n) for cost in costs)) for n in range(count))


def lies_within(values: dict[str, Any]) -> None:
    assert set(values) == {"lr", "width", "drop", "opt", "net.depth"}
    assert 1e-4 <= values["lr"] <= 0.1
    assert values["width"] in range(2, 10)
    assert type(values["width"]) is int
    assert -0.5 <= values["drop"] <= 0.5
    assert values["opt"] in ["sgd", None, 3, [1, 2]]
    assert values["net.depth"] in (1, 2, 3)


@pytest.mark.parametrize("sampler", ALL)
@pytest.mark.parametrize("seed", [0, 2**62])
def test_proposals_lie_in_their_ranges(sampler: str, seed: int) -> None:
    few = 2 if sampler == "gp" else 8
    first = answer(question(sampler, EVERYTHING, count=few, seed=seed))
    then = question(sampler, EVERYTHING, number=1, seed=seed, asks=((0, few),),
                    history=seen(EVERYTHING, 7, lambda v: v["lr"] * v["width"]),
                    told=told(few, float))  # fmt: skip
    for values in [*first, *answer(then)]:
        lies_within(values)


@pytest.mark.parametrize("sampler", ALL)
def test_as_many_as_are_asked_for_and_nothing_for_an_empty_space(sampler: str) -> None:
    assert len(answer(question(sampler, count=5))) == 5
    samplers._studies.clear()
    assert answer(question(sampler, {"a": 1, "b": {"c": "d"}}, count=2)) == [{}, {}]


@pytest.mark.parametrize("sampler", ALL)
def test_the_same_question_has_the_same_answer_and_another_seed_another(sampler: str) -> None:
    asked = question(sampler, count=2, history=seen(SQUARE, 6, lambda v: v["x"]))
    first = answer(asked)
    samplers._studies.clear()
    assert answer(asked) == first
    samplers._studies.clear()
    assert answer(replace(asked, seed=2)) != first


@pytest.mark.parametrize("sampler", LEARNED)
def test_another_number_is_another_draw(sampler: str) -> None:
    asked = question(sampler, history=seen(SQUARE, 9, lambda v: v["x"] ** 2))
    first = answer(asked)
    assert answer(replace(asked, number=1)) != first


class Dialogue:
    """What the searcher would ask one that counts on each: answers recorded, results as they come,
    those of other trials (-1) among them."""

    def __init__(self, sampler: str, forgets: bool, objectives: int = 1, earlier: int = 0) -> None:
        self.sampler, self.forgets, self.objectives = sampler, forgets, objectives
        self.history = seen(SQUARE, earlier, lambda v: (bowl(v), v["x"])[:objectives])
        self.asks: list[tuple[int, int]] = []
        self.told: list[tuple[int, tuple[float, ...]]] = []
        self.proposed: list[dict[str, Any]] = []

    def ask(self, count: int) -> None:
        if self.forgets:
            samplers._studies.clear()
        found = answer(
            question(self.sampler, count=count, number=len(self.asks), known=len(self.told),
                     asks=tuple(self.asks), told=tuple(self.told), objectives=self.objectives,
                     others=tuple({"x": 0.5, "y": 0.5} for n, _ in self.told if n < 0),
                     history=self.history)
        )  # fmt: skip
        self.asks.append((len(self.told), count))
        self.proposed += found

    def report(self, number: int) -> None:
        if number < 0:
            self.told.append((-1, (99.0,) * self.objectives))
            return
        x, y = self.proposed[number]["x"], self.proposed[number]["y"]
        costs = ((x - 0.3) ** 2 + y**2, -x)[: self.objectives]
        self.told.append((number, costs if number % 7 else (math.inf,) * self.objectives))


@pytest.mark.parametrize(
    ("sampler", "objectives", "earlier"),
    [("cmaes", 1, 0), ("cmaes", 1, 15), ("nsgaii", 1, 0), ("nsgaii", 2, 25)],
)
def test_a_study_that_is_rebuilt_from_the_record_goes_on_the_same(
    sampler: str, objectives: int, earlier: int
) -> None:
    lives = []
    for forgets in (False, True):
        samplers._studies.clear()
        life = Dialogue(sampler, forgets, objectives, earlier)
        life.ask(16)
        life.report(-1)
        rng = random.Random(3)
        waiting = list(range(16))
        for _ in range(40):
            life.report(waiting.pop(rng.randrange(len(waiting))))
            if len(waiting) < 12:
                before = len(life.proposed)
                life.ask(2)
                waiting += range(before, len(life.proposed))
        lives.append(life.proposed)
    assert len(lives[0]) > 45
    assert lives[0] == lives[1]


@pytest.mark.parametrize("sampler", REBUILT)
def test_an_answer_that_was_never_kept_is_not_counted_on(sampler: str) -> None:
    life = Dialogue(sampler, forgets=False)
    life.ask(8)
    then = question(sampler, count=2, number=1, asks=((0, 8),), told=told(8, float))
    first = answer(then)
    assert answer(then) == first  # the searcher died before it heard the first


def test_studies_are_kept_as_long_as_they_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(100):
        answer(question("nsgaii", experiment_id=f"e{n}"))
    assert len(samplers._studies) == 100
    monkeypatch.setattr(samplers, "KEPT", 30)
    answer(question("nsgaii", experiment_id="e0", number=1, asks=((0, 3),)))
    kept = samplers._studies
    assert list(kept)[-1] == "e0"
    assert sum(len(study.asked) for study in kept.values()) == 30 + 3


@pytest.mark.parametrize("sampler", REBUILT)
def test_a_study_that_was_asked_elsewhere_meanwhile_catches_up(sampler: str) -> None:
    life = Dialogue(sampler, forgets=True)
    life.ask(4)
    here = samplers._studies["e"]
    for number in range(4):
        life.report(number)
    life.ask(4)
    life.report(-1)
    life.ask(4)
    samplers._studies["e"] = here
    life.forgets = False
    life.ask(4)
    assert samplers._studies["e"] is here
    alone = Dialogue(sampler, forgets=True)
    alone.asks, alone.told = life.asks[:3], life.told
    alone.ask(4)
    assert alone.proposed == life.proposed[12:]


def test_what_breeds_breeds_from_draws_too() -> None:
    """Twenty draws that were told are its first generation."""
    told = tuple((-1, (abs(n - 7) / 20,)) for n in range(20))
    others = tuple({"x": n / 20, "y": n / 20} for n in range(20))
    found = answer(question("nsgaii", count=8, known=20, told=told, others=others))
    inherited = {o["x"] for o in others}
    assert sum(v["x"] in inherited or v["y"] in inherited for v in found) >= 6


def test_cmaes_begins_where_draws_were_good() -> None:
    draws = [flatten(space.sample(SQUARE, 5, number)) for number in range(16)]
    told = tuple((-1, (bowl(v) if v["x"] > -0.5 else math.inf,)) for v in draws)
    asked = question("cmaes", count=8, known=16, told=told, others=tuple(draws))
    found = answer(asked)
    assert statistics.median(map(bowl, found)) * 1.5 < statistics.median(map(bowl, draws))
    samplers._studies.clear()
    later = replace(asked, number=1, asks=((16, 8),), count=2)
    assert answer(later) != found[:2], "it goes on after its first answer"
    samplers._studies.clear()
    assert answer(asked) == found


def bowl(values: dict[str, Any]) -> float:
    return (values["x"] - 0.3) ** 2 + (values["y"] + 0.4) ** 2


@pytest.mark.parametrize("sampler", ["cmaes", "nsgaii"])
@pytest.mark.parametrize("earlier", [40, 300])
def test_who_counts_on_each_begins_with_what_earlier_experiments_measured(
    sampler: str, earlier: int
) -> None:
    cold = answer(question(sampler, count=20))
    samplers._studies.clear()
    warm = answer(question(sampler, count=20, history=seen(SQUARE, earlier, bowl)))
    assert statistics.median(map(bowl, warm)) * 1.5 < statistics.median(map(bowl, cold))


@pytest.mark.parametrize("sampler", ["cmaes", "nsgaii"])
@pytest.mark.parametrize("cost", [1.0, math.inf])
def test_few_earlier_results_and_such_of_another_space_do_no_harm(
    sampler: str, cost: float
) -> None:
    strange = [{"x": 50.0, "y": 0.5}, {"x": 0.1}, {"z": 3}, {}]
    history = tuple(Observation(values, (cost,)) for values in [*strange, {"x": 0.1, "y": 0.2}])
    for some in (history, history[:4]):
        samplers._studies.clear()
        for values in answer(question(sampler, count=3, history=some)):
            assert set(values) == {"x", "y"}


def searched(sampler: str, trials: int, seed: int, startup: int = 8) -> float:
    """The best that is found in so many trials, one at a time."""
    history: list[Observation] = []
    for number in range(trials):
        values = flatten(space.sample(SQUARE, seed, number))
        if number >= startup and sampler != "random":
            asked = question(sampler, seed=seed, number=number, count=1, history=tuple(history))
            values = answer(asked)[0]
        history.append(Observation(values, (bowl(values),)))
    return min(o.costs[0] for o in history)


@pytest.mark.parametrize(("sampler", "trials", "times"), [("tpe", 60, 2), ("gp", 14, 4)])
def test_what_learns_does_better_than_chance(sampler: str, trials: int, times: float) -> None:
    seeds = range(5)
    chance = statistics.median(searched("random", trials, seed) for seed in seeds)
    assert statistics.median(searched(sampler, trials, seed) for seed in seeds) * times < chance


@pytest.mark.parametrize("sampler", LEARNED)
def test_infinite_costs_do_no_harm(sampler: str) -> None:
    """A third of what was tried gave no number; the others still tell where it is good."""

    def cost(values: dict[str, Any]) -> float:
        return math.inf if values["x"] < -0.3 else bowl(values)

    found: list[dict[str, Any]] = []
    for seed in range(3):
        found += answer(question(sampler, count=2, seed=seed, history=seen(SQUARE, 16, cost)))
    assert statistics.median(map(bowl, found)) < 0.9  # a draw's is that at best
    nothing = answer(question(sampler, history=seen(SQUARE, 9, lambda v: math.inf)))
    assert len(nothing) == 3


@pytest.mark.parametrize("sampler", LEARNED)
@pytest.mark.parametrize(
    "costs", [[], [1.0], [1.0] * 9, [1e300, -1e300] * 5, [math.inf, 1.0], [0.0] * 20]
)
def test_odd_histories_are_answered(sampler: str, costs: Sequence[float]) -> None:
    history = tuple(
        Observation(flatten(space.sample(SQUARE, 5, n)), (cost,)) for n, cost in enumerate(costs)
    )
    for values in answer(question(sampler, history=history)):
        assert -1 <= values["x"] <= 1
        assert -1 <= values["y"] <= 1


@pytest.mark.parametrize("sampler", LEARNED)
def test_results_of_another_space_are_used_as_far_as_they_fit(sampler: str) -> None:
    strange = [{"x": 50.0, "y": "a"}, {"x": 0.1}, {"z": 3}, {}, {"x": True, "y": None}]
    history = tuple(Observation(values, (1.0,)) for values in strange * 4)
    history += tuple(Observation({"x": 0.1, "y": 0.1}, (1.0, 2.0)) for _ in range(3))
    assert len(answer(question(sampler, history=history, pending=({"x": 0.2}, {"q": 1})))) == 3


def test_what_is_being_tried_is_kept_away_from() -> None:
    history = seen(SQUARE, 12, bowl)
    first = answer(question("tpe", history=history, count=1))[0]
    second = answer(question("tpe", history=history, count=1, pending=(first,) * 3))[0]
    assert first != second


CONDITIONAL: dict[str, Any] = {
    "opt": {"type": "categorical", "vals": ["sgd", "adam"]},
    "momentum": {"type": "double", "minval": 0, "maxval": 1, "when": "opt == 'sgd'"},
    "x": {"type": "double", "minval": 0, "maxval": 1},
}


@pytest.mark.parametrize("sampler", ALL)
def test_conditions_and_constraints_are_met(sampler: str) -> None:
    constraints = ("x <= 0.5", "momentum < 0.8")
    history = tuple(
        Observation(flatten(space.sample(CONDITIONAL, 3, n, constraints)), (float(n % 5),))
        for n in range(12)
    )
    found = answer(
        question(
            sampler,
            CONDITIONAL,
            count=2 if sampler == "gp" else 8,
            constraints=constraints,
            history=history,
        )
    )
    for flat in found:
        values = space.active(CONDITIONAL, nest(flat, CONDITIONAL))
        assert ("momentum" in values) is (values["opt"] == "sgd")
        assert space.meets(values, constraints)


@pytest.mark.parametrize("sampler", ["tpe", "nsgaii"])
def test_a_sampler_gives_up_on_what_it_never_meets(sampler: str) -> None:
    """The core then takes a draw in its place."""
    assert len(answer(question(sampler, constraints=("x > 2",), count=2))) == 2


@pytest.mark.parametrize("objectives", [2, 3])
def test_several_objectives(objectives: int) -> None:
    def costs(values: dict[str, Any]) -> tuple[float, ...]:
        return (values["x"] ** 2, (values["x"] - 0.5) ** 2, abs(values["y"]))[:objectives]

    history = seen(SQUARE, 40, costs)
    near = answer(question("tpe", objectives=objectives, history=history, count=20))
    assert statistics.median(abs(v["x"] - 0.25) for v in near) < 0.4
    life = Dialogue("nsgaii", forgets=False, objectives=objectives)
    life.ask(4)
    assert all(-1 <= v["x"] <= 1 for v in life.proposed)
