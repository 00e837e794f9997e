"""How often ranks ask one another whether to stop."""

from collections.abc import Iterator, Sequence
from itertools import cycle, islice, pairwise, repeat

import pytest

from shoal.training.pace import DELAY, Pace


def asked(gaps: Iterator[float], times: Sequence[int], target: int) -> list[int]:
    """The calls, counted from 1, in which one rank alone asks; `times`: the time metric in each."""
    pace, now, found = Pace(), 0.0, []
    for n, (gap, reached) in enumerate(zip(gaps, times, strict=False), 1):
        now += gap
        if pace.call(now, reached):
            found.append(n)
            pace.agreed(pace.wish(target))
    return found


def test_fast_calls_ask_once_in_the_delay() -> None:
    found = asked(repeat(0.01), range(1, 1001), target=10**6)
    assert found[:5] == [1, 2, 4, 8, 16]
    assert {b - a for a, b in pairwise(found[6:])} <= {24, 25}  # of 0.25 s


def test_slow_calls_ask_each_time() -> None:
    assert asked(repeat(0.3), range(1, 21), target=100) == list(range(1, 21))


@pytest.mark.parametrize("first", [-1, 0], ids=["unsaid", "zero"])
@pytest.mark.parametrize(("every", "target"), [(1, 60), (7, 70), (100, 300), (3, 3_000)])
def test_the_target_is_never_passed(every: int, target: int, first: int) -> None:
    """A metric that moves by `every` at every `every`-th call, from `first`."""
    times = [n // every * every or first for n in range(1, target + 1)]
    found = asked(repeat(0.001), times, target)
    assert found[-1] == target
    assert len(found) < target / 1.2


def test_a_first_move_that_reaches_the_target_is_passed_by_a_hundredth() -> None:
    times = [-1] * 999 + [1] * 100
    found = asked(repeat(0.001), times, target=1)
    assert 1000 <= next(n for n in found if n >= 1000) <= 1010


def test_slow_calls_among_fast_ones_do_not_add_up() -> None:
    gaps = [0.001] * 9 + [10.0]
    found = asked(cycle(gaps), [-1] * 2000, target=1)
    waits = [sum(islice(cycle(gaps), a, b)) for a, b in pairwise(found)]
    assert max(waits) < 2 * 10 + DELAY
    assert len(found) < 2000


def test_a_validation_before_the_first_call_says_nothing_of_the_pace() -> None:
    """As after a resume that begins with one."""
    times = [900 + n // 100 * 100 for n in range(1, 2100)]
    found = asked(repeat(0.001), times, target=3000)
    assert len(found) < 600
    assert found[-1] == 2099
