"""What machines cost, from the provisioner's own events."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws.decider_laws import RELAXED
from unit.gateway.test_projections import Model
from unit.provisioner.spot import BODIES, KIND, LIST, SPOT, granted, saved, spot_yard
from unit.provisioner.yard import Yard, admitted, busy, demand, gone, of_type, started

from shoal_contract.events import Event
from shoal_contract.events.instance import InstanceMetered, WorkLost
from shoal_gateway.core import cost, keys
from shoal_gateway.core.cost import Sums

DAY = 86400.0
MIDNIGHT = 1_700_000_000.0 // DAY * DAY
"""The beginning of 14 November 2023 (UTC)."""


def sums(model: Model) -> Sums:
    days = model.index.get(keys.COST_DAYS, {})
    return cost.cells({day: model.rows.get(keys.cost(day), {}) for day in days})


def bill(model: Model, **chosen: Any) -> dict[str, Any]:
    fields = {"pool": None, "experiment": None, "hidden": [], **chosen}
    return cost.bill(sums(model), **fields)


def story(begin: float = MIDNIGHT, *, ends: bool = True) -> list[Event]:
    """A machine starts for 3 min, idles for 1 min, works for 10, of which 4 are lost."""
    yard = spot_yard()
    yard.now = begin
    log = yard.tell(demand(1), 0) + yard.tell(started(0), 30) + yard.tell(admitted(0), 180)
    log += yard.tell(busy(0), 60) + yard.tell(granted("e-0-a1", 0), 0) + yard.tell(demand(), 0)
    log += yard.tell(saved("e-0-a1"), 360)
    return log + yard.tell(gone(0), 240) if ends else log


def test_every_second_belongs_to_something() -> None:
    found = bill(Model(*story()))
    total = found["total"]
    assert total["machine_seconds"] == {"used": 360, "lost": 240, "idle": 60, "starting": 180}
    assert total["cost"] == pytest.approx(840 / 3600 * SPOT, abs=1e-6)
    assert total["used"] == pytest.approx(360 / 3600 * SPOT, abs=1e-6)
    assert total["on_demand"] == pytest.approx(600 / 3600 * LIST, abs=1e-6), "nothing is lost there"
    assert total["saved"] == pytest.approx(1 - 840 * SPOT / (600 * LIST), abs=1e-4)
    by = found["by"]
    assert [(r["experiment"], r["cost"] > 0) for r in by["experiment"]] == [
        ("e", True),
        (None, True),
    ]
    assert [r["pool"] for r in by["pool"]] == ["p"]
    assert [r["kind"] for r in by["kind"]] == [f"{KIND}, spot"]
    assert [r["day"] for r in by["day"]] == ["2023-11-14"]


def test_one_experiment_is_charged_what_it_used_and_lost() -> None:
    found = bill(Model(*story()), experiment="e")["total"]
    assert found["machine_seconds"] == {"used": 360, "lost": 240, "idle": 0, "starting": 0}
    assert bill(Model(*story()), pool="other")["total"]["cost"] == 0


def test_what_was_lost_belongs_to_the_day_in_which_it_was_done() -> None:
    days = bill(Model(*story(MIDNIGHT - 800)))["by"]["day"]
    assert [row["day"] for row in days] == ["2023-11-13", "2023-11-14"]
    assert [row["machine_seconds"]["lost"] for row in days] == [170, 70]
    assert [row["machine_seconds"]["used"] for row in days] == [360, 0]


def test_experiments_that_one_may_not_see_are_one() -> None:
    rows = bill(Model(*story()), hidden=["e"])["by"]["experiment"]
    assert [row["experiment"] for row in rows] == [cost.OTHERS, None]


def test_a_machine_that_runs_is_charged_up_to_now() -> None:
    model, now = Model(*story(ends=False)), MIDNIGHT + 5000
    machines = [model.rows[keys.instance(i)] for i in model.rows[keys.MACHINES]]
    found = sums(model)
    cost.add_running(found, "2023-11-14", machines, 0.0, now)
    total = cost.bill(found, None, None, [])["total"]
    assert sum(total["machine_seconds"].values()) == 5000 - 30
    assert total["machine_seconds"]["used"] == 5000 - 270
    assert cost.running(machines[0], now, now) is None


def test_slots_that_nobody_holds_are_idle() -> None:
    event = InstanceMetered(
        pool="p", instance_id="p-0", use="used", slots=4, shares={"e-0-a1": 1, "f-1-a2": 2},
        next_shares={}, since=0.0, at=100.0, cost=4.0, list_cost=8.0,
    )  # fmt: skip
    rows = {row["experiment"]: row for row in bill(Model(event))["by"]["experiment"]}
    assert {name: row["cost"] for name, row in rows.items()} == {"e": 1, "f": 2, None: 1}
    assert rows[None]["idle"] == 1


@settings(max_examples=60, **RELAXED)
@given(st.lists(st.tuples(BODIES, st.sampled_from([0.5, 70.0, 4000.0, 50000.0])), max_size=40))
def test_the_sums_are_the_bill_whatever_happens(history: list[tuple[Any, float]]) -> None:
    yard: Yard = spot_yard()
    log = [event for body, after in history for event in yard.tell(body, after)]
    found = bill(Model(*log))
    intervals = of_type(log, InstanceMetered)
    paid, seconds = sum(m.cost for m in intervals), sum(m.at - m.since for m in intervals)
    assert found["total"]["cost"] == pytest.approx(paid, abs=1e-5)
    assert sum(found["total"]["machine_seconds"].values()) == pytest.approx(seconds, abs=0.5)
    lost = sum(w.seconds * w.share for w in of_type(log, WorkLost))
    assert found["total"]["machine_seconds"]["lost"] == pytest.approx(lost, abs=0.5)
    for rows in found["by"].values():
        assert sum(row["cost"] for row in rows) == pytest.approx(paid, abs=1e-4)
        assert all(row["machine_seconds"]["used"] >= -0.1 for row in rows)
    json.dumps(found)
