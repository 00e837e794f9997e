"""What waits for slots, as readers get it."""

from typing import Any

from shoal_contract.config import Resources
from shoal_contract.events import (
    AllocationEnded,
    AllocationMoved,
    AllocationQueued,
    AllocationWaiting,
    Event,
    NodeAdmitted,
    ShareChanged,
    SlotSetAside,
    Waiting,
)
from shoal_contract.states import Outcome
from shoal_gateway.core import keys, rows

from .test_projections import TASK, Model


def ids(name: str) -> dict[str, Any]:
    return {"experiment_id": name[0], "allocation_id": f"{name}-a1"}


def queued(name: str, **resources: Any) -> AllocationQueued:
    return AllocationQueued(
        **ids(name), trial_id=name, task=TASK, resources=Resources(**resources), at=0
    )


def waiting(name: str, number: float, why: Waiting = "behind") -> AllocationWaiting:
    return AllocationWaiting(
        **ids(name), trial_id=name, why=why, reason=f"{name} waits.", number=number, since=number
    )


def line(*events: Event) -> list[str]:
    return [row["trial_id"] for row in Model(*events).queue()]


THREE = [
    event for n, name in enumerate("abc", 1) for event in (queued(name), waiting(name, float(n)))
]


def test_by_pool_then_priority_then_age() -> None:
    first = [queued("d", priority=1), waiting("d", 9.0)]
    other = [queued("e", resource_pool="another"), waiting("e", 10.0)]
    assert line(*THREE, *first, *other) == ["e", "d", "a", "b", "c"]


def test_priority_counts_only_where_the_pool_goes_by_it() -> None:
    first = [queued("d", priority=1), waiting("d", 9.0)]
    by_age = [told.model_copy(update={"ageing": None}) for told in (*THREE[1::2], first[1])]
    assert line(*THREE, *first, *by_age) == ["a", "b", "c", "d"]
    aged = [queued("d", priority=41), waiting("d", 90.0).model_copy(update={"ageing": 10.0})]
    slowly = [told.model_copy(update={"ageing": 10.0}) for told in THREE[1::2]]
    assert line(*THREE, *slowly, *aged) == ["a", "b", "c", "d"], "it is 90 s younger"


def test_all_that_may_serve_it_and_the_fewest_slots_that_it_takes() -> None:
    wide = waiting("a", 1.0).model_copy(update={"pools": ["default", "spot"]})
    ranged = queued("a", slots={"min": 2, "max": 8})
    assert Model(ranged).queue()[0]["pools"] == ["default"]
    [row] = Model(ranged, wide).queue()
    assert (row["pools"], row["slots"]) == (["default", "spot"], 2)


def test_slots_put_aside_are_shown_until_the_node_comes_back() -> None:
    def node(incarnation: str) -> NodeAdmitted:
        return NodeAdmitted(
            node_id="n", incarnation=incarnation, pool="p", host="h", slots=[], ports=[],
            instance_id=None,
        )  # fmt: skip

    aside = SlotSetAside(node_id="n", incarnation="1", slot=3, reason="three failed")
    model = Model(node("1"), aside)
    assert rows.nodes([model.rows[keys.node("n")]], [])[0]["aside"] == {"3": "three failed"}
    model.apply(node("2"), 9.0)
    assert rows.nodes([model.rows[keys.node("n")]], [])[0]["aside"] == {}


def test_a_second_attempt_keeps_its_place_and_what_is_new_comes_last() -> None:
    assert line(queued("a"), *THREE[2:], waiting("a", 9.0)) == ["b", "c", "a"]
    assert line(queued("d"), *THREE) == ["a", "b", "c", "d"]


def test_people_move_and_reorder() -> None:
    moved = AllocationMoved(**ids("c"), number=1.5, since=1.0)
    assert line(*THREE, moved) == ["a", "c", "b"]
    share = ShareChanged(experiment_id="b", weight=None, priority=1, max_slots=None, hold=True)
    found = Model(*THREE, share).queue()
    assert [(row["trial_id"], row["priority"], row["hold"]) for row in found] == [
        ("b", 1, True), ("a", 42, False), ("c", 42, False),
    ]  # fmt: skip


def test_the_newest_reason_is_told_and_leaves_with_the_allocation() -> None:
    room = waiting("a", 1.0, "room").model_copy(update={"expected_at": 70.0})
    model = Model(queued("a"), waiting("a", 1.0), room)
    [row] = model.queue()
    assert (row["why"], row["reason"], row["expected_at"]) == ("room", "a waits.", 70.0)
    assert (row["since"], row["slots"], row["pool"]) == (1.0, 1, "default")
    ended = AllocationEnded(
        **ids("a"), trial_id="a", attempt=1, outcome=Outcome.STOPPED, reason="", slots=0, seconds=0
    )
    model.apply(ended, 9.0)
    assert model.queue() == []
    assert [model.rows[key] for key in (keys.QUEUE, keys.WAITING)] == [{}, {}]
