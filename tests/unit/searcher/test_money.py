"""What the searcher says of a search before it begins, and does when its money is spent."""

import pytest
from unit.searcher.pool import Pool, config
from unit.searcher.test_every_method import CASES, begun

from shoal_contract.events import ExperimentChangeRequested, SearchAccepted, SearchClosing
from shoal_contract.events.instance import ExperimentBudgetCrossed
from shoal_contract.events.search import SearchChanged


def crossed(share: float, experiment: str = "e") -> ExperimentBudgetCrossed:
    return ExperimentBudgetCrossed(
        experiment_id=experiment, share=share, spent=5 * share, limit=5.0, at=0.0
    )


@pytest.mark.parametrize("case", list(CASES))
def test_the_units_that_it_expects_to_train_are_said(case: str) -> None:
    pool = begun(case)
    units = pool.said(SearchAccepted)[0].units
    if case == "custom":
        assert units is None
    else:
        searcher = pool.experiment.config.searcher
        assert units >= searcher.max_time
    if case == "random":
        assert units == 9 * pool.experiment.config.searcher.max_time


def test_a_larger_search_has_more_of_them() -> None:
    pool = Pool(config("random", max_trials=4))
    pool.tell(ExperimentChangeRequested(experiment_id="e", max_trials=6))
    before, after = pool.said(SearchAccepted)[0].units, pool.said(SearchChanged)[0].units
    assert after == before * 6 / 4


@pytest.mark.parametrize("case", list(CASES))
def test_when_its_money_is_spent_all_trials_stop(case: str) -> None:
    pool = begun(case)
    for share in (0.5, 0.95):
        assert pool.tell(crossed(share)) == []
    assert pool.tell(crossed(1.0, experiment="other")) == []
    assert pool.tell(crossed(1.0)) == ["search.closing"]
    assert pool.said(SearchClosing)[-1].at_once
    assert pool.said(SearchClosing)[-1].reason == "the budget of 5 USD is spent"
    assert pool.tell(crossed(1.0)) == []
    pool.tick()
    assert pool.in_state("wanted") == []
    pool.check_replay()
