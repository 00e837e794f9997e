"""Unlike slots: who gains most by which, in turns."""

from unit.scheduler.desk import Desk, exited, join, of, report, want

from shoal_contract.events import AllocationGranted, AllocationReleasing, Checkpoint
from shoal_contract.states import Outcome
from shoal_decider import Tick
from shoal_scheduler.core.pools import PoolConfig, Pools
from shoal_scheduler.core.speeds import Speeds

POOLS = Pools(pools={"default": PoolConfig(policy="throughput", round=100)})


def nodes():
    return join("k", 1, model="K80"), join("v", 1, model="V100")


def learned(fast, slow, **more):
    """A desk that saw `program` at these steps a second on V100 and on K80."""
    desk = Desk(pools=POOLS)
    for node, speed in zip(reversed(nodes()), (fast, slow), strict=True):
        desk.tell(node)
        trial = f"old-{node.node_id}"
        desk.tell(want(trial, experiment="e", **more))
        for step in (speed * 10, speed * 20):
            at = desk.now + 10
            desk.tell(report(trial, 1, step, at), after=10)
        desk.tell(exited(trial, 0, node.node_id))
        desk.tell(leave_of(node))
    return desk


def leave_of(node):
    from unit.scheduler.desk import leave

    return leave(node.node_id, node.incarnation)


def back(node):
    return node.model_copy(update={"incarnation": "i2"})


def test_a_trial_starts_where_it_gains_most():
    desk = learned(50, 5)
    for node in nodes():
        desk.tell(back(node))
    desk.tell(want("t"))
    assert list(desk.where("t")) == ["v"]


def test_it_moves_to_where_it_gains_more_once_nobody_waits():
    desk = learned(50, 5)
    slow, fast = (back(node) for node in nodes())
    desk.tell(slow)
    desk.tell(want("t"))
    desk.tell(fast)
    assert not of(desk.tell(Tick()), AllocationReleasing), "it has just begun"
    assert of(desk.tell(Tick(), after=200), AllocationReleasing)
    desk.tell(exited("t", 0, "k", Outcome.PREEMPTED))
    desk.tell(want("t", attempt=2))
    assert list(desk.where("t", 2)) == ["v"]


def test_it_stays_where_it_gains_little():
    desk = learned(6, 5)
    slow, fast = (back(node) for node in nodes())
    for body in (slow, want("t"), fast):
        desk.tell(body)
    assert not of(desk.tell(Tick(), after=200), AllocationReleasing)


def test_who_had_less_gets_its_turn_after_a_round():
    desk = Desk(join("v", 1, model="V100"), want("a"), want("b", experiment="f"), pools=POOLS)
    assert not of(desk.tell(Tick(), after=200), AllocationReleasing), "both are of level 0"
    (yielding,) = of(desk.tell(Tick(), after=4000), AllocationReleasing)
    assert yielding.allocation_id == "a-a1"


def test_what_was_not_measured_is_guessed_from_others():
    desk = learned(50, 5)
    for node in nodes():
        desk.tell(back(node))
    known = {**desk.state.speeds, "2 other": {"K80": 1.0}}
    speeds = Speeds(known, desk.state.ratios, desk.state.index.room, "default")
    gains = speeds.gains("2 other")
    assert gains["V100"] > 5 * gains["K80"]
    assert speeds.gains("nobody knows") == {"K80": 1.0, "V100": 1.0}
    desk.tell(want("t", 1))
    assert desk.state.of_trial("t").program == "1 true"


def waiting(desk, *trials):
    """One slot, held by another experiment; these wait for it, with steps up to their targets."""
    desk.tell(join("v", 1, model="V100", incarnation="i2"))
    desk.tell(want("holder", experiment="h"))
    for trial, target, more in trials:
        asked = want(trial, **more)
        changed = asked.task.model_copy(update={"target": target})
        desk.tell(asked.model_copy(update={"task": changed}))
    (started,) = of(desk.tell(exited("holder", 0, "v", experiment="h")), AllocationGranted)
    return started.trial_id


def test_who_has_least_left_goes_first():
    long, short = ("long", 10_000_000, {}), ("short", 1_000, {"experiment": "f"})
    assert waiting(learned(50, 5), long, short) == "short"


def test_a_weight_counts_as_so_much_less_to_do():
    trials = ("long", 10_000_000, {"weight": 1e6}), ("short", 4_000_000, {"experiment": "f"})
    assert waiting(learned(50, 5), *trials) == "long"


def test_a_checkpoint_counts_as_done():
    saved = Checkpoint(url="file:///x", step=900, attempt=1)
    asked = want("t")
    task = asked.task.model_copy(update={"target": 1000, "checkpoint": saved})
    desk = Desk(join("v", 2, model="V100"), asked.model_copy(update={"task": task}), pools=POOLS)
    allocation, room = desk.state.of_trial("t"), desk.state.index.room
    speeds = Speeds({"1 true": {"V100": 10.0}}, {}, room, "default")
    assert speeds.left(allocation, "1 true", 1.0, desk.now) == 10
    assert speeds.left(allocation, "1 true", 0.5, desk.now) == 110, "a target counts in its unit"
    assert speeds.left(allocation, "1 true", None, desk.now) is None
    unknown = Speeds({}, {}, room, "default")
    assert unknown.left(allocation, "1 true", 1.0, desk.now) is None
