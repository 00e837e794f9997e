"""MLflow's search language for runs."""

from typing import Any

import pytest

from shoal_gateway.core.run_filter import FilterError, order, parse

RUN: dict[str, dict[str, Any]] = {
    "metrics": {"loss": 0.5, "val/acc": 0.9, "bad": "NaN"},
    "params": {"lr": "0.1"},
    "tags": {
        "team": "vision",
        "a b": "x",
        "path": "a*b[0]_100%",
        "same": "a" * 5000,
        "lines": "one\\\ntwo",
    },
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
        ("tags.path LIKE 'a*b%'", True),
        ("tags.path LIKE 'a?b%'", False),
        ("tags.path LIKE 'a*b[0-9]_100\\%'", False),
        (r"tags.path LIKE 'a*b[0]\_100\%'", True),
        (r"tags.path LIKE 'a_b[0]_100%'", True),
        (r"tags.path LIKE 'a\_b%'", False),
        (r"tags.path LIKE '%\\_'", False),
        (r"tags.path NOT LIKE '%100\%'", False),
        (r"tags.lines LIKE 'one%two'", True),
        (r"tags.lines LIKE 'one\\%'", True),
        ("tags.path LIKE '%*%[%]%\\%'", True),
        ("tags.path LIKE '%[%*%'", False),
        ("tags.path LIKE '%%'", True),
        (f"tags.same LIKE '{'%a' * 40}%b'", False),
        ("tags.path ILIKE 'A*B%'", True),
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
