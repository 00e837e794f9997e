"""Passes over described clusters: what starts, what yields."""

import json
import subprocess
import sys

import pytest

from shoal_simulator.plan import plan
from shoal_simulator.scenario import PlanError, Scenario, read


def nodes(*slots, **more):
    return [{"id": f"n{n}", "slots": count, **more} for n, count in enumerate(slots, 1)]


def groups(*ids, **more):
    return [{"id": name, **more} for name in ids]


def task(id, slots, group="g", **more):
    return {"id": id, "slots": slots, "group": group, **more}


def tasks(ids, slots, group="g", **more):
    return [task(id, slots, group, **more) for id in ids.split()]


TWO = groups("g", "h")
RANKED = [{"id": "low", "priority": 50}, {"id": "high", "priority": 10}]


def line(*waiting, policy="priority", ends=50, **more):
    """`w` waits for a whole node: three slots of eight are free, the others in 50 s. One slot of
    `low` trains a step a second."""
    first = {"speed": 1} if ends else {}
    return {
        "policy": policy, "preemption": False, "nodes": nodes(8), "groups": RANKED, **more,
        "tasks": [task("a", 4, "low", on={"n1": 4}, steps=60, step=10, **first),
                  task("r", 1, "low", on={"n1": 1}, steps=60, step=10, speed=1),
                  task("w", 8, "high"), *waiting],
    }  # fmt: skip


# name: scenario, who starts (and where, if that matters), who yields
CASES = {
    "two groups of equal weight share alike": (
        {"policy": "fair_share", "nodes": nodes(4, 4), "groups": TWO,
         "tasks": tasks("a b c", 2) + tasks("x y z", 2, "h")},
        ["a", "b", "x", "y"], [],
    ),
    "a gang takes whole nodes first": (
        {"policy": "fifo", "nodes": nodes(4, 4), "groups": TWO,
         "tasks": [task("a", 6), task("b", 4)]},
        {"a": {"n1": 4, "n2": 2}}, [],
    ),
    "nobody is disturbed in vain": (
        {"policy": "priority", "nodes": nodes(4), "groups": RANKED,
         "tasks": [task("a", 2, "low", on={"n1": 2}, preemptible=False),
                   task("b", 1, "low", on={"n1": 1}), task("w", 3, "high")]},
        [], [],
    ),
    "the least important and youngest yield, as many as it takes": (
        {"policy": "priority", "nodes": nodes(4), "groups": [*RANKED, *groups("mid", priority=30)],
         "tasks": [task("m", 1, "mid", on={"n1": 1}), *tasks("a b c", 1, "low", on={"n1": 1}),
                   task("w", 2, "high")]},
        [], ["b", "c"],
    ),
    "who does not preempt waits, and keeps lower ones from the slots it could use": (
        {"policy": "priority", "preemption": False, "nodes": nodes(4), "groups": RANKED,
         "tasks": [task("a", 2, "low", on={"n1": 2}), task("w", 4, "high"), task("b", 1, "low")]},
        [], [],
    ),
    "a lower one starts beside the place of the first in line": (
        {"policy": "priority", "preemption": False, "nodes": nodes(4, 4), "groups": RANKED,
         "tasks": [task("a", 4, "low", on={"n1": 4}), task("b", 1, "low", on={"n2": 1}),
                   task("w", 6, "high"), task("c", 2, "low"), task("d", 1, "low")]},
        {"d": {"n2": 1}}, [],
    ),
    "a lower one may have slots that a higher one cannot use": (
        {"policy": "priority", "preemption": False, "groups": RANKED,
         "nodes": [{"id": "v", "slots": 2}, {"id": "p", "slots": 2, "gpu": "P100"}],
         "tasks": [task("a", 1, "low", on={"v": 1}), task("w", 2, "high", gpu="V100"),
                   task("b", 2, "low")]},
        {"b": {"p": 2}}, [],
    ),
    "the smaller number first, then the older": (
        {"policy": "priority", "nodes": nodes(2), "groups": RANKED,
         "tasks": [task("a", 1, "low", submitted=1), task("b", 1, "low", submitted=0),
                   task("c", 1, "high", submitted=9)]},
        ["b", "c"], [],
    ),
    "weights": (
        {"policy": "fair_share", "nodes": nodes(8),
         "groups": [{"id": "g", "weight": 3}, {"id": "h"}],
         "tasks": tasks("a b c d e f g", 1) + tasks("s t u v w", 1, "h")},
        [*"abcdef", "s", "t"], [],
    ),
    "what max_slots leaves goes to others": (
        {"policy": "fair_share", "nodes": nodes(8),
         "groups": [{"id": "g", "max_slots": 2}, {"id": "h"}],
         "tasks": tasks("a b c", 1) + tasks("r s t u v w x", 1, "h")},
        ["a", "b", *"rstuvw"], [],
    ),
    "what one does not ask for goes to others": (
        {"policy": "fair_share", "nodes": nodes(4, 4), "groups": TWO,
         "tasks": [task("a", 1), *tasks("x y z", 2, "h")]},
        ["a", "x", "y", "z"], [],
    ),
    "a group above its share gives back what began last, of what has no checkpoint": (
        {"policy": "fair_share", "nodes": nodes(4, 4), "groups": TWO,
         "tasks": [*tasks("a b", 2, on={"n1": 2}), *tasks("c d", 2, on={"n2": 2}),
                   *tasks("x y z", 2, "h")]},
        [], ["c", "d"],
    ),
    "a group above its share gives back what was saved last": (
        {"policy": "fair_share", "nodes": nodes(4), "groups": TWO,
         "tasks": [task("a", 1, on={"n1": 1}), *tasks("b c", 1, on={"n1": 1}, unsaved=5),
                   task("d", 1, on={"n1": 1}, unsaved=50), *tasks("x y", 1, "h")]},
        [], ["b", "c"],
    ),
    "a gang loses the work of all its slots": (
        {"policy": "fair_share", "nodes": nodes(5), "groups": TWO,
         "tasks": [task("a", 1, on={"n1": 1}, unsaved=50), task("b", 4, on={"n1": 4}, unsaved=20),
                   task("x", 1, "h")]},
        [], ["a"],
    ),
    "who loses the least work yields, of all groups above their share": (
        {"policy": "fair_share", "nodes": nodes(6), "groups": groups("g", "h", "i"),
         "tasks": [*tasks("a b c", 1, on={"n1": 1}, unsaved=9),
                   task("d", 1, "h", on={"n1": 1}, unsaved=1),
                   *tasks("e f", 1, "h", on={"n1": 1}, unsaved=3), *tasks("x y", 1, "i")]},
        [], ["c", "d"],
    ),
    "what does not yield stays": (
        {"policy": "fair_share", "nodes": nodes(4), "groups": TWO,
         "tasks": [task("a", 2, on={"n1": 2}), task("b", 2, on={"n1": 2}, preemptible=False),
                   task("x", 2, "h")]},
        [], ["a"],
    ),
    "nobody yields for a gang above its own share": (
        {"policy": "fair_share", "nodes": nodes(8), "groups": TWO,
         "tasks": [*tasks("a b", 2, on={"n1": 2}), task("x", 6, "h")]},
        [], [],
    ),
    "a gang above its share starts when slots lie idle": (
        {"policy": "fair_share", "nodes": nodes(8), "groups": TWO,
         "tasks": [task("a", 6), task("x", 6, "h")]},
        ["a"], [],
    ),
    "a gang that holds all yields to a group below its share": (
        {"policy": "fair_share", "nodes": nodes(8), "groups": TWO,
         "tasks": [task("a", 8, on={"n1": 8}), task("x", 2, "h")]},
        [], ["a"],
    ),
    "slots that are being left are not given away": (
        {"policy": "priority", "nodes": nodes(4), "groups": RANKED,
         "tasks": [task("a", 3, "low", on={"n1": 3}), task("w", 4, "high"), task("b", 1, "low")]},
        [], ["a"],
    ),
    "best fit leaves the fewest free": (
        {"policy": "fifo", "nodes": nodes(4, 3), "groups": TWO, "tasks": [task("a", 2)]},
        {"a": {"n2": 2}}, [],
    ),
    "worst fit takes the emptiest": (
        {"policy": "fifo", "fit": "worst", "nodes": nodes(3, 4, 4), "groups": TWO,
         "tasks": [task("a", 2), task("b", 2)]},
        {"a": {"n2": 2}, "b": {"n3": 2}}, [],
    ),
    "of equal nodes the first": (
        {"policy": "fifo", "nodes": nodes(4, 4), "groups": TWO, "tasks": [task("a", 2)]},
        {"a": {"n1": 2}}, [],
    ),
    "nodes to avoid, and disabled ones, are not used": (
        {"policy": "fifo", "groups": TWO,
         "nodes": [*nodes(2, 2, 2), {"id": "off", "slots": 1, "enabled": False}],
         "tasks": [task("a", 1, avoid=["n1", "n3"])]},
        {"a": {"n2": 1}}, [],
    ),
    "only one type": (
        {"policy": "fifo", "groups": TWO,
         "nodes": [{"id": "v", "slots": 2}, {"id": "v32", "slots": 2, "gpu": "V100-32"}],
         "tasks": [task("a", 3), task("b", 1, gpu="V100-32")]},
        [], [],
    ),
    "a gang for one node waits for one": (
        {"policy": "priority", "preemption": False, "nodes": nodes(2, 2), "groups": TWO,
         "tasks": [task("a", 3, single_node=True), task("b", 2, "h")]},
        {"b": {"n1": 2}}, [],
    ),
    "tasks without slots have places of their own": (
        {"policy": "fifo", "nodes": nodes(1, 1, max_cpu_tasks=1), "groups": TWO,
         "tasks": [task("a", 0, on={"n1": 0}), task("b", 0), task("c", 0), task("d", 1)]},
        {"b": {"n2": 0}, "d": {"n1": 1}}, [],
    ),
    "one that ends before the first in line can start takes its place meanwhile": (
        line(task("b", 1, "low", steps=50), task("c", 1, "low", steps=51)), ["b"], [],
    ),
    "who ends in time takes what is free, and no more": (
        line(*tasks("b c d e", 1, "low", steps=5)), ["b", "c", "d"], [],
    ),
    "of whom nobody can tell when it ends does not": (
        line(task("b", 2, "low", steps=5), task("c", 1, "high", steps=5)), [], [],
    ),
    "nobody does where nobody can tell when the first in line starts": (
        line(task("b", 1, "low", steps=5), ends=None), [], [],
    ),
    "one that ends in time leaves the slots beside the place to others": (
        {"policy": "priority", "preemption": False, "nodes": nodes(8), "groups": RANKED,
         "tasks": [task("a", 3, "low", on={"n1": 3}, steps=60, step=10, speed=1),
                   task("w", 6, "high"), task("b", 3, "low", steps=5),
                   *tasks("c d e", 1, "low")]},
        ["b", "c", "d"], [],
    ),
    "one that ends in time may lie partly beside the place": (
        {"policy": "priority", "preemption": False, "nodes": nodes(7, 4), "groups": RANKED,
         "tasks": [task("a", 4, "low", on={"n1": 4}, steps=60, step=10, speed=1),
                   task("r", 2, "low", on={"n2": 2}, steps=999, step=10, speed=1),
                   task("w", 7, "high"), task("b", 4, "low", steps=50), task("c", 1, "low")]},
        {"b": {"n1": 3, "n2": 1}, "c": {"n2": 1}}, [],
    ),
    "a short one starts in a kept place where slots are shared fairly, too": (
        line(task("b", 1, "low", steps=50), task("c", 1, "low", steps=51), policy="fair_share"),
        ["b"], [],
    ),
    "fifo: nobody overtakes the head, however short": (
        line(task("b", 1, "low", steps=5), policy="fifo"), [], [],
    ),
    "fifo: the head blocks": (
        {"policy": "fifo", "nodes": nodes(2), "groups": TWO,
         "tasks": [task("a", 1), task("b", 2), task("c", 1)]},
        ["a"], [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_pass(name):
    scenario, starts, yields = CASES[name]
    answer = plan(Scenario.model_validate(scenario))
    if isinstance(starts, dict):
        assert answer.allocate == starts
    assert sorted(answer.allocate) == sorted(starts)
    assert sorted(answer.release) == sorted(yields)
    waiting = {t["id"] for t in scenario["tasks"] if "on" not in t} - set(starts)
    assert set(answer.pending) == waiting
    for id, sentence in answer.pending.items():
        assert sentence.startswith(f"{id} waits")
        assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nodes": nodes(1) + nodes(2)}, "two have the same id"),
        ({"tasks": [task("a", 1, "nobody")]}, "no group 'nobody'"),
        ({"tasks": [task("a", 1, on={"x": 1})]}, "no node 'x'"),
        ({"tasks": [task("a", 2, on={"n1": 1})]}, "other than its 2 slots"),
        ({"tasks": [task("a", 9, on={"n1": 9})]}, "has not so many slots"),
    ],
)
def test_what_contradicts_itself_is_refused(change, words):
    scenario = {"nodes": nodes(2), "groups": TWO, "tasks": [], **change}
    with pytest.raises(PlanError, match=words):
        plan(Scenario.model_validate(scenario))


def test_a_file_that_is_no_scenario(tmp_path):
    (tmp_path / "s.json").write_text('{"nodes": [{"id": "n", "slots": -1}]}')
    with pytest.raises(PlanError, match=r"nodes\.0\.slots"):
        read(tmp_path / "s.json")
    with pytest.raises(PlanError, match="cannot be read"):
        read(tmp_path / "none.json")


def test_what_a_scenario_has_no_word_for_is_refused(tmp_path):
    (tmp_path / "s.json").write_text('{"nodes": [], "polcy": "fifo"}')
    with pytest.raises(PlanError, match="polcy"):
        read(tmp_path / "s.json")


def test_unlike_gpus_are_told_apart_however_many_there_are():
    """Names that begin alike are other models."""
    many = [{"id": f"n{n}", "slots": 1, "gpu": f"G{n}"} for n in range(12)]
    scenario = {"nodes": many, "tasks": [{"id": "t", "slots": 1, "gpu": "G1"}]}
    assert plan(Scenario.model_validate(scenario)).allocate == {"t": {"n1": 1}}


def test_tasks_without_slots_go_by_priority_where_the_others_do():
    scenario = {
        "policy": "priority", "nodes": nodes(0, max_cpu_tasks=1), "groups": RANKED,
        "tasks": [task("a", 0, "low"), task("b", 0, "high")],
    }  # fmt: skip
    assert list(plan(Scenario.model_validate(scenario)).allocate) == ["b"]


def test_who_waits_is_told_after_whose_end_it_starts():
    waits = plan(Scenario.model_validate(line(task("x", 8, "low")))).pending
    assert waits["w"] == (
        "w waits for 8 slots of pool gpu: 3 of 8 are free, and it is first in line;"
        " it should start when r and a have ended."
    )


def test_the_command_says_so_if_there_is_nothing_to_say(tmp_path):
    (tmp_path / "s.json").write_text('{"nodes": []}')
    done = subprocess.run(
        [sys.executable, "-m", "shoal_simulator", "plan", str(tmp_path / "s.json")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "Nothing starts, nothing yields and nothing waits.\n"


def test_the_command_prints_the_answer(tmp_path):
    scenario, _, _ = CASES["a gang takes whole nodes first"]
    file = tmp_path / "s.json"
    file.write_text(json.dumps(scenario))
    done = subprocess.run(
        [sys.executable, "-m", "shoal_simulator", "plan", str(file), "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["allocated_tasks"] == ["a"]
    assert answer["allocate"] == {"a": {"n1": 4, "n2": 2}}
    assert list(answer["pending"]) == ["b"]
