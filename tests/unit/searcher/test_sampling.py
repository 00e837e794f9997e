"""What a sampler is asked and when, how its answers are used, and what a search starts from."""

import math
from typing import Any

import pytest
from unit.searcher.pool import Pool, config

from shoal_contract.events import (
    Checkpoint,
    PastResult,
    SearchAccepted,
    SearchBegun,
    SearchCompleted,
    SearchFailed,
    SearchProposed,
    SearchWarmed,
    TrialCreated,
    TrialMeasured,
    TrialRequested,
)
from shoal_searcher.core.evolve import begin, evolve_experiment
from shoal_searcher.core.messages import Found, Proposals
from shoal_searcher.core.sampling import FEWER, HISTORY, PATIENCE, history

SPACE = {"lr": {"type": "log", "minval": -4, "maxval": -1},
         "x": {"type": "double", "minval": 0, "maxval": 1}}  # fmt: skip


class Asked(Pool):
    """Nobody answers a sampler's questions but the test."""

    def __init__(self, name: str = "random", **changes: Any) -> None:
        super().__init__()
        given = {"hyperparameters": SPACE} | changes
        self.submit(config(name, **given))

    def tell(self, body: Any, answer: bool = False) -> list[str]:
        return super().tell(body, answer=False)

    def answers(self, *xs: float, ask: int | None = None, failure: str = "") -> list[str]:
        question = self.question()
        assert question is not None or ask is not None
        found = [{"lr": 0.01, "x": x} for x in xs]
        number = question.number if ask is None else ask  # type: ignore[union-attr]
        known = question.known if question else 0
        return self.tell(
            Proposals(experiment_id="e", ask=number, known=known, proposals=found, failure=failure)
        )

    def done(self, n: int, loss: float) -> None:
        self.report(n, 64, loss)
        self.end(n, "stopped")

    def tried(self) -> list[tuple[str, float]]:
        return [(e.origin, e.hyperparameters.get("x", -1)) for e in self.said(TrialCreated)]


def test_tpe_is_asked_when_enough_is_known_and_again_when_more_is() -> None:
    pool = Asked(
        max_trials=8, max_concurrent_trials=2, sampler={"name": "tpe", "startup_trials": 2}
    )
    assert pool.question() is None
    pool.done(0, 1.0)
    assert pool.question() is None
    pool.done(1, 2.0)
    question = pool.question()
    assert question is not None
    assert (question.sampler, question.number, question.known, question.count) == ("tpe", 0, 2, 2)
    assert [o.costs for o in question.history] == [(1.0,), (2.0,)]
    assert [set(values) for values in question.pending] == [{"lr", "x"}, {"lr", "x"}]
    assert pool.answers(0.1, 0.2) == ["search.proposed"]
    assert pool.question() is None
    pool.done(2, 3.0)
    assert pool.tried()[-1] == ("tpe", 0.1)
    assert pool.question() is not None
    pool.answers(0.7, 0.8)  # takes the place of 0.2, which was not used yet
    pool.done(3, 3.0)
    assert pool.tried()[-1] == ("tpe", 0.7)


@pytest.mark.parametrize(("sampler", "enough"), [("tpe", 10), ("gp", 3)])
def test_a_sampler_knows_how_many_results_it_takes(sampler: str, enough: int) -> None:
    pool = Asked(max_trials=20, max_concurrent_trials=2, sampler=sampler)
    for number in range(enough):
        assert pool.question() is None
        pool.done(number, float(number))
    assert pool.question() is not None


def test_only_the_answer_to_the_last_question_counts() -> None:
    pool = Asked(max_trials=8, max_concurrent_trials=2, sampler={"name": "gp", "startup_trials": 1})
    pool.done(0, 1.0)
    assert pool.answers(0.1, ask=5) == []
    assert pool.answers(0.1, ask=0) == ["search.proposed"]
    assert pool.answers(0.2, ask=0) == []
    assert [e.proposals[0]["x"] for e in pool.said(SearchProposed)] == [0.1]


def test_what_breeds_is_asked_first_but_its_first_trials_are_drawn_at_once() -> None:
    pool = Asked(max_trials=8, max_concurrent_trials=2, sampler="nsgaii")
    assert [origin for origin, _ in pool.tried()] == ["random", "random"]
    assert len(pool.said(TrialRequested)) == 2, "no slot waits for a proposal"
    pool.answers(0.1, 0.2)
    for n in (1, 2, 0):
        pool.done(n, float(n))
    assert pool.tried()[2:4] == [("nsgaii", 0.1), ("nsgaii", 0.2)]
    question = pool.question()
    assert question is not None
    assert (question.told, question.asks) == (((-1, (1.0,)), (0, (2.0,)), (-1, (0.0,))), ((0, 2),))
    drawn = [x for origin, x in pool.tried() if origin == "random"]
    assert [other["x"] for other in question.others] == [drawn[1], drawn[0]]
    pool.check_replay()


def test_cmaes_is_asked_when_it_knows_where_to_begin_and_draws_begin_at_once() -> None:
    pool = Asked(max_trials=20, max_concurrent_trials=2, sampler="cmaes")
    for n in range(8):
        assert pool.question() is None
        assert len(pool.said(TrialRequested)) == n + 2, "no slot waits for a proposal"
        pool.done(n, float(n))
    question = pool.question()
    assert question is not None
    assert question.told == tuple((-1, (float(n),)) for n in range(8))
    made = pool.said(TrialCreated)
    assert [other["x"] for other in question.others] == [e.hyperparameters["x"] for e in made[:8]]
    assert {e.reason for e in made[:9]} == {"cmaes proposes from result 8 on"}
    pool.answers(0.1, 0.2)
    pool.done(8, 1.0)
    pool.done(9, 1.0)
    assert pool.tried()[10:] == [("cmaes", 0.1), ("cmaes", 0.2)]
    pool.check_replay()


def test_points_of_a_sequence_are_tried_in_order_without_anyone_being_asked() -> None:
    """Even what the trials measured makes no difference, nor that some were listed."""
    changes: dict[str, Any] = {"max_trials": 6, "max_concurrent_trials": 2, "sampler": "qmc"}
    pool, again = Asked(**changes), Asked(**changes, starting_points=[{"x": 0.9}])
    for n in range(4):
        assert pool.question() is None
        pool.done(n, float(n))
        again.done(n, -float(n))
    assert {origin for origin, _ in pool.tried()} == {"qmc"}
    assert again.tried() == [("listed", 0.9), *pool.tried()[1:]]
    thirds = sorted(int(3 * x) for _, x in pool.tried()[:3])
    assert thirds == [0, 1, 2], "x is the second hyperparameter, so its base is 3"
    pool.check_replay()


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "nsgaii", "qmc"])
def test_what_a_sampler_learns_from_first_is_spread_evenly(sampler: str) -> None:
    pool = Asked(max_trials=8, max_concurrent_trials=6, sampler=sampler)
    made = [e.hyperparameters for e in pool.said(TrialCreated)]
    boxes = {(math.log10(values["lr"]) < -2.5, int(3 * values["x"])) for values in made}
    assert len(boxes) == len(made) == 6


def test_a_warm_start_waits_for_those_that_breed_and_tries_all_in_order() -> None:
    sampler = "nsgaii"
    pool = Asked(max_trials=6, max_concurrent_trials=2, sampler=sampler, warm_start=["y"])
    pool.tell(WARM)
    assert pool.tried() == []
    question = pool.question()
    assert question is not None
    assert (question.count, question.told, question.asks) == (2, (), ())
    assert pool.answers(0.1, 0.2)[0] == "search.proposed"
    assert pool.tried() == [(sampler, 0.1), (sampler, 0.2)]
    pool.answers(0.3, 0.4)
    pool.done(1, 5.0)
    pool.done(0, 4.0)
    assert [x for _, x in pool.tried()] == [0.1, 0.2, 0.3, 0.4]
    question = pool.question()
    assert question is not None
    assert question.told == ((1, (5.0,)), (0, (4.0,)))
    assert question.asks == ((0, 2), (0, 2))
    pool.check_replay()


def test_results_of_listed_trials_are_none_of_the_samplers() -> None:
    """Else a study that is rebuilt from the record would be told too much too early."""
    pool = Asked(max_trials=8, max_concurrent_trials=2, sampler="nsgaii",
                 starting_points=[{"x": 0.9}])  # fmt: skip
    (_, listed), (origin, drawn) = pool.tried()
    assert (listed, origin) == (0.9, "random")
    pool.answers(0.1, 0.2)
    pool.done(0, 9.0)
    pool.done(1, 1.0)
    assert pool.tried()[2:] == [("nsgaii", 0.1), ("nsgaii", 0.2)]
    pool.answers(0.3, 0.4)
    pool.done(2, 2.0)
    question = pool.question()
    assert question is not None
    assert question.told == ((-1, (9.0,)), (-1, (1.0,)), (0, (2.0,)))
    assert question.asks[1] == (2, 2)  # of which none was its own
    assert [other["x"] for other in question.others] == [0.9, drawn]


def test_what_is_listed_waits_for_nobody() -> None:
    pool = Asked(max_trials=8, max_concurrent_trials=2, sampler="nsgaii", warm_start=["y"],
                 starting_points=[{"x": 0.9}])  # fmt: skip
    pool.tell(WARM)
    assert pool.tried() == [("listed", 0.9)]
    pool.answers(0.1, 0.2)
    assert pool.tried() == [("listed", 0.9), ("nsgaii", 0.1)]


@pytest.mark.parametrize(
    "sampler", [{"name": "tpe", "startup_trials": 1}, {"name": "cmaes", "startup_trials": 1}]
)
def test_draws_take_the_place_of_a_sampler_that_fails_until_there_is_news(sampler: Any) -> None:
    pool = Asked(max_trials=6, max_concurrent_trials=1, sampler=sampler)
    pool.done(0, 1.0)
    assert pool.answers()[0] == "search.proposed"
    assert pool.question() is None  # it is not asked for ever
    first = len(pool.tried()) - 1
    assert pool.tried()[first][0] == "random"
    pool.done(first, 1.0)
    assert pool.question() is not None
    pool.answers(0.5)
    pool.done(first + 1, 1.0)
    assert pool.tried()[-1] == (sampler["name"], 0.5)


def test_draws_take_the_place_of_first_proposals_that_take_too_long() -> None:
    sampler = "nsgaii"
    changes = {"max_trials": 6, "max_concurrent_trials": 2, "warm_start": ["y"]}
    pool = Asked(**changes, sampler=sampler)
    pool.tell(WARM)
    pool.now = PATIENCE - 0.1
    assert pool.tick() == []
    pool.now = PATIENCE
    assert pool.tick()[0] == "search.begun"
    assert [origin for origin, _ in pool.tried()] == ["random", "random"]
    assert pool.said(SearchBegun)[0].reason == f"{sampler} has proposed nothing for 1 s"
    assert pool.tick() == []
    pool.answers(0.3, 0.4)  # at last; it is not lost
    pool.done(0, 1.0)
    assert pool.tried()[2:] == [(sampler, 0.3)]
    question = pool.question()
    assert question is not None
    assert question.told == ((-1, (1.0,)),)
    assert [set(other) for other in question.others] == [{"lr", "x"}]
    again = Asked(**changes, sampler=sampler)
    again.tell(WARM)
    again.now = PATIENCE
    again.tick()
    assert again.tried() == pool.tried()[:2], "the draws are those of the seed"
    pool.check_replay()


def test_a_warm_start_whose_first_trials_all_fail_ends() -> None:
    pool = Asked(max_trials=2, max_concurrent_trials=2, sampler="nsgaii", max_restarts=0,
                 warm_start=["y"])  # fmt: skip
    pool.tell(WARM)
    pool.answers(0.1, 0.2)
    for n in range(2):
        pool.end(n, "failed")
    assert pool.over


def test_a_sampler_that_fails_is_heard_of_and_each_draw_in_its_place_says_why() -> None:
    pool = Asked(max_trials=8, max_concurrent_trials=1, sampler={"name": "gp", "startup_trials": 1})
    pool.done(0, 1.0)  # the next begins before there is an answer
    pool.answers(failure="gp needs an extra")
    pool.done(1, 1.0)
    pool.answers(0.5)
    pool.done(2, 1.0)
    assert [e.failure for e in pool.said(SearchProposed)] == ["gp needs an extra", ""]
    why = "the sampler failed: gp needs an extra"
    assert [(e.origin, e.reason) for e in pool.said(TrialCreated)] == [
        ("random", "gp proposes from result 1 on"), ("random", "no proposal of gp was ready"),
        ("random", why), ("gp", ""),
    ]  # fmt: skip
    pool.check_replay()


def test_a_search_whose_sampler_always_fails_ends_by_draws() -> None:
    pool = Asked(max_trials=6, max_concurrent_trials=2, sampler="nsgaii")
    pool.answers()
    pool.train(lambda n, t: float(n))
    assert {origin for origin, _ in pool.tried()} == {"random"}
    assert pool.said(SearchCompleted)[0].trials == 6


def test_a_proposal_that_leaves_something_out_is_filled_up_by_a_draw() -> None:
    pool = Asked(max_trials=4, sampler="nsgaii", max_concurrent_trials=1)
    pool.tell(Proposals(experiment_id="e", ask=0, known=0, proposals=[{"x": 0.5}]))
    pool.done(0, 1.0)
    found = pool.said(TrialCreated)[1].hyperparameters
    assert found["x"] == 0.5
    assert 1e-4 <= found["lr"] <= 0.1


def past(n: int, time: int, metric: float) -> PastResult:
    return PastResult(hyperparameters={"lr": 0.01, "x": n / 1000}, time=time, metric=metric)


@pytest.mark.parametrize(
    ("sampler", "later", "count", "first"),
    [
        ("tpe", 0, HISTORY, 0.0), ("tpe", 5, HISTORY, 0.0), ("tpe", 9, 9, 100.0),
        ("tpe", 60, 60, 100.0), ("gp", 0, FEWER["gp"][0], 0.0),
    ],
)  # fmt: skip
def test_what_a_sampler_learns_from_is_bounded_and_of_one_time(
    sampler: str, later: int, count: int, first: float
) -> None:
    """Five results at a later time are too few to learn from; nine are enough."""
    pool = Asked(max_trials=4, sampler={"name": sampler, "startup_trials": 5}, warm_start=["y"])
    results = [past(n, 1, float(n)) for n in range(400)]
    results += [past(n, 4, 100.0 + n) for n in range(later)]
    pool.tell(Found(experiment_id="e", results=results))
    question = pool.question()
    assert question is not None
    costs = [o.costs[0] for o in question.history]
    assert len(costs) == count
    assert costs == sorted(costs)
    assert costs[:40] == [first + n for n in range(40)][:count]
    assert len(set(costs)) == count


def test_too_few_earlier_results_are_not_waited_for() -> None:
    pool = Asked(max_trials=4, max_concurrent_trials=2, warm_start=["y"],
                 sampler={"name": "tpe", "startup_trials": 10})  # fmt: skip
    pool.tell(WARM)
    assert pool.tried()[0][0] == "random"


def test_a_sampler_that_fails_at_once_does_not_hold_up_a_warm_start() -> None:
    pool = Asked(max_trials=4, warm_start=["y"], sampler={"name": "gp", "startup_trials": 5})
    pool.tell(WARM)
    assert pool.tried() == []
    pool.answers()
    assert [origin for origin, _ in pool.tried()] == ["random"] * 4


def test_one_that_thinks_long_is_asked_for_few_and_the_first_trials_begin_as_they_come() -> None:
    pool = Asked(max_trials=40, warm_start=["y"], sampler={"name": "gp", "startup_trials": 5})
    pool.tell(WARM)
    for first in range(0, 6, 2):
        question = pool.question()
        assert question is not None
        assert (question.count, len(question.pending)) == (2, first)
        pool.answers(0.1 * first, 0.1 * (first + 1))
        assert len(pool.tried()) == first + 2
    pool.now = PATIENCE
    pool.tick()
    assert [origin for origin, _ in pool.tried()] == ["gp"] * 6 + ["random"] * 10
    pool.check_replay()


def test_patience_is_counted_from_when_earlier_results_were_found() -> None:
    pool = Asked(max_trials=4, warm_start=["y"], sampler={"name": "tpe", "startup_trials": 5})
    pool.now = 100.0
    assert pool.tick() == []
    assert pool.tell(WARM) == ["search.warmed"]
    assert pool.tick() == []
    pool.now += PATIENCE
    assert pool.tick()[0] == "search.begun"


WARM = Found(experiment_id="e", results=[past(n, 64, float(n)) for n in range(9)])


def test_a_warm_start_teaches_the_sampler_before_the_first_trial_of_its_own() -> None:
    pool = Asked(max_trials=4, max_concurrent_trials=2, warm_start=["y"],
                 sampler={"name": "tpe", "startup_trials": 5})  # fmt: skip
    assert pool.tried() == []
    assert pool.tick() == []  # it waits
    assert pool.tell(WARM)[0] == "search.warmed"
    assert pool.tell(WARM) == []
    question = pool.question()
    assert question is not None
    assert (question.known, question.count) == (9, 2)
    assert sorted(o.costs[0] for o in question.history) == [float(n) for n in range(9)]
    assert pool.tried() == []
    pool.answers(0.4, 0.5)
    assert pool.tried() == [("tpe", 0.4), ("tpe", 0.5)]
    assert pool.said(SearchWarmed)[0].results == WARM.results
    pool.check_replay()


@pytest.mark.parametrize("sampler", ["cmaes", "nsgaii"])
def test_who_counts_on_each_is_told_of_earlier_results_each_time(sampler: str) -> None:
    pool = Asked(max_trials=6, max_concurrent_trials=2, warm_start=["y"], sampler=sampler)
    assert pool.question() is None  # not before it is known what it begins with
    pool.tell(WARM)
    first = pool.question()
    assert first is not None
    assert sorted(o.costs for o in first.history) == [(float(n),) for n in range(9)]
    pool.answers(0.1, 0.2)
    pool.answers(0.3, 0.4)
    pool.done(0, 4.0)
    then = pool.question()
    assert then is not None
    assert (then.history, then.told) == (first.history, ((0, (4.0,)),))


TWO = [{"metric": "speed", "smaller_is_better": False}]


def test_earlier_results_teach_every_objective() -> None:
    pool = Asked(max_trials=4, warm_start=["y"], objectives=TWO,
                 sampler={"name": "tpe", "startup_trials": 5})  # fmt: skip
    results = [past(n, 64, float(n)).model_copy(update={"objectives": [9.0]}) for n in range(9)]
    pool.tell(Found(experiment_id="e", results=results))
    question = pool.question()
    assert question is not None
    assert [o.costs for o in question.history] == [(float(n), -9.0) for n in range(9)]
    pool.check_replay()


@pytest.mark.parametrize("own", [False, True])
def test_of_several_objectives_the_first_fronts_are_learned_from(own: bool) -> None:
    """The best in speed alone are last in the first objective; all of them are in."""
    results = [(float(n), float(n > 350) * n) for n in range(400)]
    found = config("random", max_trials=500, objectives=TWO, sampler="tpe")
    experiment = begin(SearchAccepted(experiment_id="e", config=found, bundle=None, storage_url=""))
    for n, (loss, speed) in enumerate(results):
        if own:
            ids = {"experiment_id": "e", "trial_id": f"e-{n}"}
            made = TrialCreated(**ids, number=n, hyperparameters={}, seed=n)
            measured = TrialMeasured(
                **ids, step=64, time=64, metric=loss, objectives=[speed], rung=0
            )
            evolve_experiment(experiment, made)
            evolve_experiment(experiment, measured)
        else:
            more = {"objectives": [speed]}
            experiment.past.append(past(n, 64, loss).model_copy(update=more))
    costs = {o.costs for o in history(experiment)}
    assert len(costs) == HISTORY
    assert {(loss, -speed) for loss, speed in results if speed or not loss} <= costs


def test_what_is_not_there_fails_the_experiment_with_a_sentence() -> None:
    pool = Asked(max_trials=4, warm_start=["y"])
    told = pool.tell(Found(experiment_id="e", missing="warm_start: there is no experiment y"))
    assert told == ["search.failed"]
    assert pool.said(SearchFailed)[0].reason == "warm_start: there is no experiment y"


NAMES: list[tuple[str, dict[str, Any]]] = [
    ("single", {}),
    ("random", {"max_trials": 2}),
    ("grid", {"hyperparameters": {"x": {"type": "categorical", "vals": [1, 2]}}}),
    ("async_halving", {"max_trials": 2}),
    ("adaptive_asha", {"max_trials": 2}),
    ("hyperband", {"max_time": 2, "divisor": 2}),
    ("pbt", {"population_size": 2}),
]


@pytest.mark.parametrize(("name", "changes"), NAMES)
def test_all_trials_start_from_the_weights_of_another(name: str, changes: dict[str, Any]) -> None:
    pool = Asked(name, source_trial_id="y-0", **changes)
    assert pool.said(TrialRequested) == []
    pool.tell(Found(experiment_id="e", checkpoint=Checkpoint(url="file:///y", step=5, attempt=1)))
    made = pool.said(TrialCreated)
    assert len(made) >= 1
    assert all((e.parent, e.inherits) == ("y-0", "weights") for e in made)
    for event in pool.said(TrialRequested):
        assert (event.task.checkpoint.url, event.task.inherits) == ("file:///y", "weights")
    pool.end(0, "lost")
    assert pool.said(TrialRequested)[-1].task.inherits == "weights"
    pool.save(0, 10)
    pool.end(0, "lost")
    task = pool.said(TrialRequested)[-1].task
    assert (task.checkpoint.url, task.inherits) == ("file:///s/0/10", "nothing")
    pool.check_replay()
