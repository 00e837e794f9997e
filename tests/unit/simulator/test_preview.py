"""What a search will do: brackets and units, worked out by hand."""

import re
from typing import Any

import pytest
from unit.simulator.tables import SPACE, search

from shoal_contract.parse import ConfigError
from shoal_simulator.preview import preview

TABLE: list[tuple[str, dict[str, Any], list[tuple[list[int], int, int]], int, int]] = [
    ("single", {"max_time": 64}, [([64], 1, 1)], 64, 64),
    ("random", {"max_time": 10, "max_trials": 5}, [([10], 5, 16)], 50, 50),
    ("random", {"max_time": 10, "max_trials": 5, "max_concurrent_trials": 0}, [([10], 5, 5)], 50,
     50),
    ("grid", {"max_time": 10}, [([10], 4, 16)], 40, 40),
    ("grid", {"max_time": 10, "constraints": ["x > 1"]}, [([10], 2, 16)], 20, 20),
    # 16 to 4, 4 to 16, 1 to 64
    ("async_halving", {"max_time": 64, "max_trials": 16, "num_rungs": 3},
     [([4, 16, 64], 16, 16)], 16 * 4 + 4 * 12 + 1 * 48, 16 * 64),
    # 3 are too few for one in 4 to go on
    ("async_halving", {"max_time": 64, "max_trials": 3, "divisor": 1.5, "num_rungs": 2},
     [([42, 64], 3, 16)], 3 * 42 + 2 * 22, 3 * 64),
    ("async_halving", {"max_time": 64, "max_trials": 16, "num_rungs": 3, "stop_once": True},
     [([4, 16, 64], 16, 16)], 16 * 4 + 4 * 12 + 1 * 48, 16 * 64),
    # 12 to 1, 3 to 4, none; 4 to 4, 1 to 16
    ("adaptive_asha", {"max_time": 16, "max_trials": 16},
     [([1, 4, 16], 12, 8), ([4, 16], 4, 8)], 12 + 3 * 3 + 4 * 4 + 1 * 12, 256),
    ("adaptive_asha", {"max_time": 16, "max_trials": 16, "mode": "aggressive",
                       "max_concurrent_trials": 0},
     [([1, 4, 16], 16, 16)], 16 + 4 * 3 + 1 * 12, 256),
    # 9 to 1, 3 to 3, 1 to 9; 5 to 3, 1 to 9; 3 to 9
    ("hyperband", {"max_time": 9, "divisor": 3},
     [([1, 3, 9], 9, 16), ([3, 9], 5, 16), ([9], 3, 16)],
     (9 + 3 * 2 + 1 * 6) + (5 * 3 + 1 * 6) + 3 * 9, 17 * 9),
    ("custom", {"max_time": 9}, [([], 0, 16)], 0, 0),
    ("random", {"max_time": 10, "max_trials": 5, "budget": {"units": 30}}, [([10], 5, 16)], 30,
     50),
    ("random", {"max_time": 10, "max_trials": 5, "budget": {"units": 90, "hours": 1}},
     [([10], 5, 16)], 50, 50),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "brackets", "total", "full"), TABLE)
def test_preview(name: str, changes: dict[str, Any], brackets: Any, total: int, full: int) -> None:
    assert preview(search(name, **changes)) == {
        "brackets": [
            {"rungs": rungs, "max_trials": trials, "max_concurrent_trials": wide}
            for rungs, trials, wide in brackets
        ],
        "total_units": total,
        "full_units": full,
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"constraints": ["x > 10"]}, "constraints: none of the grid's 4 points meets them"),
        ({"name": "random", "max_trials": 2, "constraints": ["x > 10"]}, "constraints: "),
        ({"name": "random", "max_trials": 2,
          "hyperparameters": {"x": {"type": "log", "minval": 0, "maxval": 999}}},
         "hyperparameters.x: base ** maxval is too large"),
    ],
)  # fmt: skip
def test_what_the_searcher_refuses_is_not_previewed(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        preview(search(**changes))


def test_a_population() -> None:
    found = preview(search("pbt", population_size=6, rounds=2, max_time=10))
    assert found["brackets"] == [{"rungs": [5, 10], "max_trials": 6, "max_concurrent_trials": 16}]
    assert found["full_units"] == found["total_units"] == 60


def test_hyperband_with_a_divisor_that_is_not_whole_as_it_is_run() -> None:
    """27 at 6.4…: floor(27 / 1.5^i), not floor(floor(…) / 1.5)."""
    found = preview(search("hyperband", max_time=8, divisor=1.5, hyperparameters=SPACE))
    first = found["brackets"][0]
    n, before, units = first["max_trials"], 0, 0
    for rung, target in enumerate(first["rungs"]):
        units += max(1, int(n / 1.5**rung)) * (target - before)
        before = target
    others = 0
    for bracket in found["brackets"][1:]:
        before = 0
        for rung, target in enumerate(bracket["rungs"]):
            others += max(1, int(bracket["max_trials"] / 1.5**rung)) * (target - before)
            before = target
    assert found["total_units"] == units + others
