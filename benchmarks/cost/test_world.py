# ruff: noqa: S101
"""Does the world do what its page says? `python -m pytest benchmarks/cost`"""

import pytest

from benchmarks.cost.__main__ import POLICIES, simulated
from benchmarks.cost.traces import Trace
from benchmarks.cost.world import START

HOUR = 3600.0
STEADY = Trace("steady", {"us-east1-c": lambda t: 4}, HOUR)
GAPS = Trace("gaps", {"us-east1-c": lambda t: 4 if t % (2 * HOUR) < HOUR else 1}, 2 * HOUR)
NONE = Trace("none", {"us-east1-c": lambda t: 0}, HOUR)
ON_DEMAND, NAIVE, SHOAL, *TIMELY = POLICIES


def bill(policy, trace, hours=2.0):
    return simulated(policy, trace, 4, hours, 40 * hours * HOUR)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("trace", [STEADY, GAPS, NONE])
def test_all_paid_time_has_one_use_and_all_work_is_done_once(policy, trace):
    found = bill(policy, trace)
    assert found.paid == pytest.approx(sum(found.uses.values()))
    used = found.uses.get("used", 0.0)
    if found.done:
        assert used - found.lost == pytest.approx(4 * 2 * HOUR, abs=1)
    if trace is NONE and policy in (NAIVE, SHOAL):
        assert (found.done, found.cost) == (False, 0)


def test_what_never_is_preempted_costs_its_time_its_start_and_its_last_idling():
    found = bill(ON_DEMAND, STEADY)
    assert found.cost == pytest.approx(found.paid / HOUR * 2.86)
    assert found.uses["starting"] == pytest.approx(4 * START)
    assert 60 <= found.uses["idle"] / 4 < 100
    assert bill(SHOAL, STEADY).cost == pytest.approx(found.cost * 0.82 / 2.86)


def test_a_preemption_loses_less_than_a_checkpoints_period():
    found = bill(SHOAL, GAPS)
    assert found.preemptions > 0
    assert 0 < found.lost / found.preemptions <= 300
    assert bill(NAIVE, GAPS).lost > found.lost


@pytest.mark.parametrize("policy", TIMELY)
@pytest.mark.parametrize("trace", [STEADY, GAPS, NONE])
def test_no_deadline_is_missed(policy, trace):
    found = bill(policy, trace, hours=4.0)
    assert found.finish <= policy.slack * 4 * HOUR
