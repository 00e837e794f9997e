"""MLflow's search language for runs."""

from typing import Any

import pytest

from shoal_gateway.core.run_filter import FilterError, order, parse

RUN: dict[str, dict[str, Any]] = {
    "metrics": {"loss": 0.5, "val/acc": 0.9, "bad": "NaN"},
    "params": {"lr": "0.1"},
    "tags": {"team": "vision", "a b": "x"},
    "attributes": {"status": "FINISHED", "run_name": "Run_1", "start_time": 5},
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("metrics.loss < 0.6", True),
        ("metrics.loss<0.6 AND params.lr = '0.1'", True),
        ("metrics.loss < 0.6 and params.lr != '0.1'", False),
        ("metrics.`val/acc` >= 0.9", True),
        ("metrics.bad > 0", False),
        ("metrics.none > 0", False),
        ("tags.\"a b\" = 'x'", True),
        ("status = 'FINISHED'", True),
        ("attributes.start_time > 4", True),
        ("run_name LIKE 'run%'", False),
        ("run_name ILIKE 'run%'", True),
        ("tags.team IN ('vision', 'text')", True),
        ("tags.team NOT IN ('vision')", False),
    ],
)
def test_filters(text: str, holds: bool) -> None:
    assert parse(text)(RUN) is holds


@pytest.mark.parametrize("text", ["loss", "a = 'b' or c = 'd'", "metrics.a = x", "x.y = 'z'", "'"])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        parse(text)


def test_runs_without_a_value_come_last() -> None:
    runs: list[dict[str, Any]] = [{"metrics": m} for m in ({"a": 1}, {}, {"a": 3}, {"a": "NaN"})]
    order(["metrics.a DESC"])(runs, lambda run: run)
    assert [r["metrics"].get("a") for r in runs] == ["NaN", 3, 1, None]
