"""Any sampler feeds any method: Optuna asked over whole searches, also by a searcher that dies."""

from typing import Any

import pytest
from unit.searcher.pool import Pool
from unit.searcher.test_every_method import Forgetful, begun, quality

from shoal_contract.events import SearchCompleted, SearchProposed, TrialCreated
from shoal_searcher.core.messages import Proposals
from shoal_searcher.core.sampling import Ask
from shoal_searcher.shell import samplers

METHODS = ["random", "async_halving", "async_halving-once", "adaptive_asha", "hyperband", "pbt"]
SPACE = {"lr": {"type": "log", "minval": -4, "maxval": -1},
         "x": {"type": "double", "minval": 0, "maxval": 1},
         "opt": {"type": "categorical", "vals": ["sgd", "adam"]}}  # fmt: skip


class Asked(Pool):
    """Optuna answers."""

    def sampled(self, question: Ask) -> Proposals:
        return question.reply(samplers.answer(question))


class AskedAnew(Asked, Forgetful):
    """By a process that keeps no study, of a searcher that keeps no state."""

    def sampled(self, question: Ask) -> Proposals:
        samplers._studies.clear()
        return super().sampled(question)


def searched(method: str, sampler: dict[str, Any], pool: Pool, **changes: Any) -> Pool:
    samplers._studies.clear()
    begun(method, pool, hyperparameters=SPACE, sampler=sampler, **changes)
    pool.train(quality, saves=True)
    return pool


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["tpe", "cmaes", "nsgaii"])
def test_any_sampler_feeds_any_method(method: str, name: str) -> None:
    sampler = {"name": name, "startup_trials": 3}
    changes: dict[str, Any] = {"max_concurrent_trials": 3}
    pool = searched(method, sampler, Asked(grants=True), **changes)
    assert pool.searches["e"] == "completed"
    assert pool.said(SearchCompleted)[0].trials == len(pool.trials)
    made = pool.said(TrialCreated)
    proposed = [p for e in pool.said(SearchProposed) for p in e.proposals]
    used = [e.hyperparameters for e in made if e.origin == name]
    assert used
    assert all(values in proposed for values in used)
    if name != "tpe":  # these count on each of their proposals
        assert used == proposed[: len(used)]
        assert {e.origin for e in made[6:]} <= {name, "pbt"}, (
            "but for the first, which begin at once"
        )
    again = searched(method, sampler, AskedAnew(refolds=False), **changes)
    assert again.events == pool.events


FEW = [("adaptive_asha", {"max_trials": 6}), ("pbt", {"population_size": 4, "rounds": 2})]


@pytest.mark.parametrize(("method", "changes"), FEW)
def test_gp_feeds_them_too(method: str, changes: dict[str, Any]) -> None:
    gp = {"name": "gp", "startup_trials": 2}
    pool = searched(method, gp, Asked(grants=True), max_concurrent_trials=2, **changes)
    assert pool.searches["e"] == "completed"
    assert {"gp", "random"} <= {e.origin for e in pool.said(TrialCreated)}
