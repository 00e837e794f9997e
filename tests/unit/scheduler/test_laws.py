import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws.decider_laws import RELAXED, DeciderLaws
from unit.scheduler.deciders import (
    FairShareDecider,
    FifoDecider,
    PriorityDecider,
    ThroughputDecider,
)
from unit.scheduler.desk import (
    Desk,
    check,
    close,
    exited,
    extend,
    join,
    leave,
    notice,
    report,
    saved,
    want,
)

from shoal_contract.events import (
    ShareChangeRequested,
    TrialCompleted,
    TrialMoveRequested,
    TrialPaused,
    TrialStopped,
)
from shoal_contract.resources import SlotRange
from shoal_contract.states import Outcome
from shoal_decider import Tick
from shoal_scheduler.core.messages import NodeSilent

NODES = st.sampled_from(["n1", "n2", "n3", "n4"])
TRIALS = st.sampled_from(["t1", "t2", "t3", "t4", "t5"])
LIVES = st.sampled_from(["i1", "i2", "i3"])
BODIES = st.one_of(
    st.builds(
        want,
        TRIALS,
        st.integers(1, 6),
        attempt=st.integers(1, 3),
        experiment=st.sampled_from(["e", "f"]),
        pool=st.sampled_from(["default", "default", "other", "b a d"]),
        limit=st.just(6),
        priority=st.sampled_from([10, 42, 90]),
        weight=st.sampled_from([1.0, 3.0]),
        preemptible=st.booleans(),
        workspace=st.sampled_from(["v", "w"]),
        resource_pools=st.sampled_from([[], ["default", "other"]]),
        burst_after=st.sampled_from([0.0, 3.0]),
        span=st.sampled_from([None, SlotRange(min=1, max=6)]),
        mixed_types=st.booleans(),
    ),
    st.builds(
        join,
        NODES,
        st.integers(0, 4),
        incarnation=LIVES,
        pool=st.sampled_from(["default", "default", "other"]),
        model=st.sampled_from(["cpu", "P100"]),
        ports=st.sampled_from([[], [1, 2], [1, 2, 3, 4, 5, 6]]),
        host=st.sampled_from(["h1", "h2"]),
    ),
    st.builds(
        exited,
        TRIALS,
        st.integers(0, 2),
        NODES,
        st.sampled_from(list(Outcome)),
        attempt=st.integers(1, 3),
    ),
    st.builds(leave, NODES, LIVES),
    st.builds(notice, NODES, st.sampled_from([-1.0, 0.0, 5.0, 120.0]), LIVES),
    st.builds(
        lambda node, life: NodeSilent(node_id=node, incarnation=life, seconds=10), NODES, LIVES
    ),
    st.builds(
        report, TRIALS, st.integers(1, 3), st.integers(0, 900), st.sampled_from([1e6, 1e6 + 50])
    ),
    st.builds(saved, TRIALS, st.integers(1, 3)),
    st.builds(
        ShareChangeRequested,
        experiment_id=st.sampled_from(["e", "f"]),
        weight=st.sampled_from([None, 5.0]),
        priority=st.sampled_from([None, 1, 99]),
        max_slots=st.sampled_from([None, 0, 6]),
        hold=st.sampled_from([None, True, False]),
    ),
    st.builds(TrialMoveRequested, experiment_id=st.just("e"), trial_id=TRIALS, ahead_of=TRIALS),
    st.builds(extend, TRIALS, st.integers(0, 50)),
    st.builds(close, st.sampled_from([TrialPaused, TrialCompleted, TrialStopped]), TRIALS),
    st.just(Tick()),
)


class Laws(DeciderLaws):
    __test__ = False
    examples = 25

    def decider(self):
        return POLICIES[type(self).__name__]()

    def messages(self):
        return BODIES

    def check(self, state):
        check(state)


class TestFifo(Laws):
    __test__ = True


class TestFairShare(Laws):
    __test__ = True


class TestPriority(Laws):
    __test__ = True


class TestThroughput(Laws):
    __test__ = True


POLICIES = {
    "TestFifo": FifoDecider,
    "TestFairShare": FairShareDecider,
    "TestPriority": PriorityDecider,
    "TestThroughput": ThroughputDecider,
}


@pytest.mark.parametrize("policy", POLICIES.values())
@settings(max_examples=100, **RELAXED)
@given(st.lists(BODIES, max_size=60))
def test_all_events_are_allowed_and_no_slot_is_held_twice(policy, bodies):
    desk = Desk(decider=policy())
    for body in bodies:
        desk.tell(body)
        assert desk.tell(body, after=0) == [], "the same again decides nothing"


@pytest.mark.parametrize("policy", POLICIES.values())
@settings(max_examples=60, **RELAXED)
@given(st.lists(BODIES, max_size=40), st.randoms(use_true_random=False))
def test_whatever_happened_all_ends_when_all_runs_exit(policy, bodies, chance):
    desk = Desk(*bodies, decider=policy())
    for _ in range(200):
        runs = [
            (allocation, name, run)
            for allocation in desk.state.allocations.values()
            for name, run in allocation.open_runs().items()
        ]
        if not runs:
            break
        allocation, name, run = chance.choice(runs)
        rank = int(name.rpartition("-r")[2])
        desk.tell(
            exited(
                allocation.trial_id,
                rank,
                run.placement.node_id,
                attempt=allocation.task.attempt,
            )
        )
    assert all(not node.held for node in desk.state.nodes.values())
