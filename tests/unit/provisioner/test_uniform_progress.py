import pytest

from shoal_provisioner.core.uniform_progress import Progress, choose

HOUR = 3600.0


def task(done, total=10 * HOUR, deadline=15 * HOUR, changeover=180.0):
    return Progress(total, done, 0.0, deadline, changeover)


@pytest.mark.parametrize(
    ("done", "now", "spot", "current", "chosen"),
    [
        # thrifty: done is done
        (10, 1, True, "spot", "idle"),
        # spot whenever it is there, ahead or behind
        (0, 0, True, "idle", "spot"),
        (4, 3, True, "idle", "spot"),
        (0, 3, True, "idle", "spot"),
        # no spot: wait while ahead, on demand when behind
        (0, 0, False, "idle", "idle"),
        (2.1, 3, False, "idle", "idle"),
        (1.9, 3, False, "idle", "on_demand"),
        # hysteresis: on demand is kept until two changeovers ahead
        (2.01, 3, True, "on_demand", "on_demand"),
        (2.08, 3, True, "on_demand", "spot"),
        (2.08, 3, False, "on_demand", "idle"),
        # exploitation: spot is kept though the task is behind
        (1, 3, True, "spot", "spot"),
        (1, 3, False, "spot", "on_demand"),
        # safety net: what is left just fits, so nothing is risked any more
        (2, 6.91, True, "spot", "on_demand"),
        (2, 6.89, True, "spot", "spot"),
        (2, 20, True, "idle", "on_demand"),
    ],
)
def test_the_rules_of_the_paper(done, now, spot, current, chosen):
    assert choose(task(done * HOUR), now * HOUR, spot, current) == chosen


@pytest.mark.parametrize("slack", [1.05, 1.1, 1.5, 2.0])
@pytest.mark.parametrize(
    "spot", [lambda n: False, lambda n: True, lambda n: n % 7 < 3, lambda n: n % 61 < 40]
)
def test_no_deadline_is_missed_whatever_spot_does(slack, spot):
    """A minute a step; each change of machine costs three minutes in which nothing is done."""
    total, minute = 10 * HOUR, 60.0
    deadline, done, now, starting, on = slack * total + 900, 0.0, 0.0, 0.0, "idle"
    paid = {"spot": 0.0, "on_demand": 0.0, "idle": 0.0}
    step = 0
    while done < total:
        there = spot(step)
        if on == "spot" and not there:
            on = "idle"
        wanted = choose(task(done, total, deadline), now, there, on)
        if wanted != on:
            on, starting = wanted, 180.0
        now, step = now + minute, step + 1
        paid[on] += minute
        if on != "idle":
            starting -= minute
            done += minute if starting < 0 else 0.0
    assert now <= deadline
    if spot(0) and all(map(spot, range(step))) and slack >= 1.5:
        assert paid["on_demand"] == 0
