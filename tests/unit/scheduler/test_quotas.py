"""Quotas by calendar month, in slot-hours and in money."""

from datetime import UTC, datetime

import pytest
from unit.scheduler.desk import Desk, exited, join, of, want

from shoal_contract.events import (
    AllocationGranted,
    AllocationReleasing,
    QuotaChanged,
)
from shoal_contract.states import Outcome
from shoal_decider import Tick, fold
from shoal_scheduler.core.decider import SchedulerDecider
from shoal_scheduler.core.explain import explain
from shoal_scheduler.core.months import following, month_of, seconds_in
from shoal_scheduler.core.pools import PoolConfig, Pools, Workspace

HOUR = 3600.0
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC).timestamp()


def pools(**quota):
    config = PoolConfig(price=1.0, prices={"V100": 2.5}, min_run=0)
    return Pools(pools={"default": config}, workspaces={"bio": Workspace(**quota)})


def desk(model="V100", begin=NOVEMBER, slots=4, **quota):
    found = Desk(pools=pools(**quota))
    found.now = begin
    found.tell(join("n", slots, model=model), after=0)
    return found


def mine(trial, slots=1, **more):
    return want(trial, slots, workspace="bio", **more)


def changes(events):
    return [(e.month, e.used_up) for e in of(events, QuotaChanged)]


# quota, model, slots, hours after which it is still free, hours after which it is used up, said
CASES = {
    "slot-hours": ({"slot_hours": 10}, "V100", 2, 4.9, 5, "10 slot-hours"),
    "money at a model's price": ({"money": 10}, "V100", 2, 1.9, 2, "10 of money"),
    "money at the pool's price": ({"money": 10}, "K80", 2, 4.9, 5, "10 of money"),
    "what is used up first": ({"slot_hours": 3, "money": 100}, "V100", 1, 2.9, 3, "3 slot-hours"),
    "nothing at all": ({"slot_hours": 0}, "V100", 1, None, 0, "0 slot-hours"),
}


@pytest.mark.parametrize(
    ("quota", "model", "slots", "free", "used", "said"), CASES.values(), ids=CASES
)
def test_a_quota_is_used_up_by_what_runs(quota, model, slots, free, used, said):
    one = desk(model, **quota)
    one.tell(mine("a", slots), after=0)
    if free is not None:
        assert changes(one.tell(Tick(), after=free * HOUR)) == []
    assert changes(one.tell(Tick(), after=(used - (free or 0)) * HOUR)) == [("2026-11", said)]
    assert changes(one.tell(Tick(), after=0)) == [], "it is said once"


def test_what_ended_counts():
    one = desk(slot_hours=4)
    one.tell(mine("a", 2), after=0)
    one.tell(exited("a", 0, "n"), after=HOUR)
    one.tell(mine("b", 2), after=HOUR)
    assert changes(one.tell(Tick(), after=0.9 * HOUR)) == []
    (said,) = of(one.tell(Tick(), after=0.1 * HOUR), QuotaChanged)
    assert (said.slot_hours, said.money) == (pytest.approx(4), pytest.approx(10))


def test_nothing_new_starts_until_the_month_turns_and_the_reason_says_so():
    one = desk(slots=5, slot_hours=2)
    one.tell(mine("a", 2), after=0)
    one.tell(mine("early", 4), after=0)
    one.tell(Tick(), after=HOUR)
    assert [(e.trial_id, e.why) for e in one.said[-1:]] == [("early", "quota")]
    one.tell(mine("late"))
    one.tell(want("other"))
    assert one.queue() == ["early", "late"], "other workspaces go on"
    reason = (
        "late waits: workspace bio has used 2 of its 2 slot-hours of 2026-11; the next month begins"
        " on 2026-12-01 at 00:00 UTC."
    )
    assert one.said[-1].reason == explain(one.state, "late") == reason
    assert one.state.demand["default"] == [], "no machine is asked for what may not start"
    assert "a" in one.state.current, "what runs stays, where the quota is not hard"
    one.tell(exited("a", 0, "n"))
    one.now = DECEMBER - 2
    assert changes(one.tell(Tick())) == []
    events = one.tell(Tick())
    assert changes(events) == [("2026-12", "")]
    assert [e.trial_id for e in of(events, AllocationGranted)] == ["early"]
    assert (one.said[-1].trial_id, one.said[-1].why) == ("late", "room")


@pytest.mark.parametrize(
    ("quota", "words"),
    [
        ({"slot_hours": 1.5}, "has used 2.5 of its 1.5 slot-hours of 2026-11;"),
        ({"money": 6, "slot_hours": 9}, "has used 6.25 of its 6 of money of 2026-11;"),
    ],
)
def test_the_reason_says_what_was_used_what_ran_included(quota, words):
    one = desk(slots=3, **quota)
    one.tell(mine("a"), after=0)
    one.tell(mine("b"), after=0)
    one.tell(exited("a", 0, "n"), after=0.5 * HOUR)
    one.tell(mine("early", 4), after=0)
    one.tell(Tick(), after=1.5 * HOUR)
    assert words in one.said[-1].reason
    loaded = one.decider.load(one.decider.dump(one.state))
    assert words in explain(loaded, "early")


def test_a_hard_quota_takes_back_what_may_be_preempted():
    one = desk(slot_hours=1, hard=True)
    one.tell(mine("a", 1), after=0)
    one.tell(mine("stays", 1, preemptible=False), after=0)
    one.tell(want("other"), after=0)
    leaving = of(one.tell(Tick(), after=HOUR), AllocationReleasing)
    assert [(e.allocation_id, e.reason) for e in leaving] == [("a-a1", "preempted")]
    one.tell(exited("a", 0, "n", Outcome.PREEMPTED))
    one.tell(mine("a", attempt=2))
    assert one.queue() == ["a"]
    assert one.said[-1].why == "quota"


def test_a_run_counts_in_each_month_with_its_part_of_it():
    one = desk(begin=DECEMBER - HOUR, slot_hours=4)
    one.tell(mine("a", 2), after=0)
    one.tell(exited("a", 0, "n"), after=2 * HOUR)
    assert one.state.months["bio"].month == "2026-12"
    assert one.state.months["bio"].slot_seconds == 2 * HOUR
    assert changes(one.tell(Tick(), after=HOUR)) == []


def test_it_survives_a_replay_and_a_snapshot():
    one = Desk(pools=pools(slot_hours=2))
    one.now = NOVEMBER
    events = one.tell(join("n", 4, model="V100"), after=0)
    for body, after in (
        (mine("a", 2), 0),
        (exited("a", 0, "n"), HOUR),
        (Tick(), 1),
        (mine("b"), 1),
    ):
        events += one.tell(body, after=after)
    replayed = fold(one.decider, one.decider.initial(), events)
    loaded = one.decider.load(one.decider.dump(one.state))
    for state in (replayed, loaded):
        assert state.months == one.state.months
        assert state.index.used_up("bio") == "2 slot-hours"
        assert not state.index.heads.get("default")


def test_another_quota_counts_from_the_next_tick():
    one = desk(slot_hours=1)
    one.tell(mine("a"), after=0)
    one.tell(Tick(), after=HOUR)
    state = SchedulerDecider(pools(slot_hours=9)).load(one.decider.dump(one.state))
    more = Desk(pools=pools(slot_hours=9))
    more.state, more.now = state, one.now
    assert changes(more.tell(Tick())) == [("2026-11", "")]
    assert [e.trial_id for e in of(more.tell(mine("b")), AllocationGranted)] == ["b"]


def test_months():
    assert month_of(DECEMBER - 1) == "2026-11"
    assert [following(m) for m in ("2026-01", "2026-12", "2028-02")] == [
        "2026-02",
        "2027-01",
        "2028-03",
    ]
    assert seconds_in("2026-11", NOVEMBER - 5, NOVEMBER + 5) == 5
    assert seconds_in("2026-11", NOVEMBER, DECEMBER + 99) == 30 * 86400
    assert seconds_in("2026-10", NOVEMBER, DECEMBER) == 0
