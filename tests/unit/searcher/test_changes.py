"""A search that a person makes larger, smaller, wider or narrower while it runs."""

from itertools import pairwise

import pytest
from unit.searcher.pool import Pool
from unit.searcher.test_every_method import MANY, begun, flying, holding, quality

from shoal_contract.events import Refused, SearchChanged, SearchCompleted

SIZED = ["random", "random-tpe", "random-cmaes", "async_halving", "async_halving-once",
         "adaptive_asha"]  # fmt: skip
UNSIZED = ["single", "grid", "hyperband", "pbt", "custom"]
WIDER = [case for case in MANY if case != "pbt"]  # all of whose population is in the air


@pytest.mark.parametrize("case", WIDER)
def test_wider_at_once(case: str) -> None:
    pool = begun(case)
    before = len(flying(pool))
    assert pool.change(max_concurrent_trials=before + 2)[0] == "search.changed"
    assert len(flying(pool)) == before + 2
    assert pool.change(max_concurrent_trials=before + 2) == []
    pool.train(quality, saves=True)
    assert pool.searches["e"] == "completed"
    pool.check_replay()


@pytest.mark.parametrize("case", WIDER)
def test_as_wide_as_it_can_be(case: str) -> None:
    pool = begun(case)
    pool.change(max_concurrent_trials=0)
    assert len(flying(pool)) > pool.experiment.config.searcher.max_concurrent_trials
    pool.train(quality, saves=True)
    assert pool.searches["e"] == "completed"


@pytest.mark.parametrize("case", MANY)
def test_narrower_as_trials_end(case: str) -> None:
    pool = begun(case)
    before = len(flying(pool))
    assert pool.change(max_concurrent_trials=1) == ["search.changed"]
    assert len(flying(pool)) == before  # nobody is thrown out
    seen = [before]
    for _ in range(2000):
        if pool.over:
            break
        n = flying(pool)[0]
        pool.save(n, pool.targets[f"e-{n}"] * 10)
        pool.report(n, pool.targets[f"e-{n}"], quality(n, pool.targets[f"e-{n}"]))
        for m in holding(pool):
            if not pool.over and m not in flying(pool):
                pool.end(m, "stopped")
        seen.append(len(flying(pool)))
    assert pool.over
    assert all(b <= max(a, 1) for a, b in pairwise(seen))
    assert 1 in seen


@pytest.mark.parametrize("case", MANY)
def test_narrower_while_paused_goes_on_with_as_few(case: str) -> None:
    pool = begun(case)
    pool.ask("pause")
    for n in holding(pool):
        pool.end(n, "stopped")
    pool.change(max_concurrent_trials=1)
    pool.ask("resume")
    assert len(flying(pool)) == 1
    pool.train(quality, saves=True)
    assert pool.searches["e"] == "completed"
    pool.check_replay()


@pytest.mark.parametrize("case", SIZED)
@pytest.mark.parametrize("size", [1, 12, 30])
def test_more_trials_or_fewer(case: str, size: int) -> None:
    pool = begun(case)
    created = len(pool.trials)
    assert pool.change(max_trials=size)[0] == "search.changed"
    assert pool.change(max_trials=size) == []
    pool.train(quality)
    assert pool.said(SearchCompleted)[0].trials == max(size, created)
    pool.check_replay()


@pytest.mark.parametrize("case", SIZED)
def test_the_last_change_counts_and_may_go_back(case: str) -> None:
    pool = begun(case)
    asked = pool.experiment.config.searcher.max_trials
    pool.change(max_trials=asked + 20)
    pool.change(max_trials=asked)
    pool.train(quality)
    assert [e.max_trials for e in pool.said(SearchChanged)] == [asked + 20, asked]
    assert pool.said(SearchCompleted)[0].trials == asked


@pytest.mark.parametrize("case", UNSIZED)
def test_a_method_that_has_no_number_of_trials_refuses(case: str) -> None:
    pool = begun(case)
    assert pool.change(max_trials=5) == ["refused.message"]
    assert pool.change(max_trials=5, max_concurrent_trials=9) == ["refused.message"]
    assert f"{case} has no max_trials" in pool.said(Refused)[0].reason
    assert pool.said(SearchChanged) == []


def test_one_trial_has_no_width() -> None:
    pool = begun("single")
    assert pool.change(max_concurrent_trials=2) == ["refused.message"]
    assert "single has no max_concurrent_trials" in pool.said(Refused)[0].reason


def test_what_is_over_or_unknown_refuses() -> None:
    pool = Pool()
    assert pool.change(max_trials=5) == ["refused.message"]
    pool = begun("random")
    pool.ask("cancel")
    assert pool.change(max_trials=5) == ["refused.message"]
    assert "cancelled already" in pool.said(Refused)[0].reason


def test_a_change_while_paused_counts_when_it_goes_on() -> None:
    pool = begun("random")
    pool.ask("pause")
    assert pool.change(max_trials=20, max_concurrent_trials=7) == ["search.changed"]
    for n in holding(pool):
        pool.end(n, "stopped")
    pool.ask("resume")
    assert len(flying(pool)) == 7
    pool.train(quality)
    assert pool.said(SearchCompleted)[0].trials == 20
