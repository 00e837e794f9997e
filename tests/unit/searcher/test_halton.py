"""Points that are spread evenly."""

import statistics
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats.qmc import Halton, discrepancy

from shoal_searcher.core import space
from shoal_searcher.core.halton import BELOW, Point


def points(seed: int, count: int, dimensions: int, first: int = 0) -> list[list[float]]:
    found = []
    for number in range(first, first + count):
        point = Point(seed, number)
        found.append([point.random() for _ in range(dimensions)])
    return found


@given(st.integers(0, 2**31), st.integers(0, 50))
@pytest.mark.parametrize("powers", [(4,), (0, 3), (0, 0, 2), (3, 2), (2, 1, 1), (0, 0, 0, 1, 1)])
def test_each_box_of_a_grid_has_one_of_as_many_points_in_a_row(
    powers: tuple[int, ...], seed: int, block: int
) -> None:
    """What defines the sequence: its bases are the primes, whatever permutes the digits."""
    sides = [base**power for base, power in zip((2, 3, 5, 7, 11), powers, strict=False)]
    count = prod(sides)
    boxes = {
        tuple(int(x * side) for x, side in zip(point, sides, strict=True))
        for point in points(seed, count, len(powers), first=block * count)
    }
    assert len(boxes) == count


def test_points_are_those_of_their_seed() -> None:
    assert points(1, 8, 3) == points(1, 8, 3)
    assert points(1, 8, 3) != points(2, 8, 3)
    assert points(1, 8, 3)[5] == points(1, 1, 3, first=5)[0], "each is computed by itself"


@given(st.integers(0, 2**31), st.integers(0, 10**6), st.integers(1, 10**6))
def test_coordinates_stay_in_their_ranges(seed: int, number: int, stop: int) -> None:
    point = Point(seed, number)
    assert 0 <= point.random() <= BELOW
    assert -3 <= point.uniform(-3, 5) < 5
    assert 0 <= point.randrange(stop) < stop


@pytest.mark.parametrize("dimensions", [2, 5, 12])
def test_it_is_as_even_as_scipys_and_far_more_than_draws(dimensions: int) -> None:
    def uneven(found: Callable[[int], Any]) -> float:
        return statistics.median(discrepancy(np.array(found(seed))) for seed in range(10))

    ours = uneven(lambda seed: points(seed, 128, dimensions))
    scipys = uneven(lambda seed: Halton(dimensions, seed=seed).random(128))
    draws = uneven(lambda seed: np.random.default_rng(seed).random((128, dimensions)))
    assert ours < 1.3 * scipys
    assert ours < 0.6 * draws


def test_a_configuration_takes_a_coordinate_for_each_range() -> None:
    of = {
        "lr": {"type": "log", "minval": -4, "maxval": -1},
        "net": {"depth": {"type": "int", "minval": 1, "maxval": 3}, "name": "unet"},
        "opt": {"type": "categorical", "vals": ["a", "b", "c", "d", "e"]},
    }
    found = [space.spread(of, 3, number) for number in range(15)]
    assert {(p["net"]["depth"], p["opt"]) for p in found} == {
        (depth, opt) for depth in (1, 2, 3) for opt in "abcde"
    }
    assert all(1e-4 <= p["lr"] < 0.1 and p["net"]["name"] == "unet" for p in found)
