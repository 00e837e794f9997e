from hypothesis import given, settings
from hypothesis import strategies as st
from laws.decider_laws import RELAXED, DeciderLaws
from unit.scheduler.desk import (
    Desk,
    check,
    close,
    exited,
    extend,
    join,
    leave,
    notice,
    want,
)

from shoal_contract.events import TrialCompleted, TrialPaused, TrialStopped
from shoal_contract.states import Outcome
from shoal_decider import Tick
from shoal_scheduler.core.decider import SchedulerDecider
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
        experiment=st.just("e"),
        pool=st.sampled_from(["default", "default", "other", "b a d"]),
        limit=st.just(6),
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
    st.builds(extend, TRIALS, st.integers(0, 50)),
    st.builds(close, st.sampled_from([TrialPaused, TrialCompleted, TrialStopped]), TRIALS),
    st.just(Tick()),
)


class TestScheduler(DeciderLaws):
    def decider(self):
        return SchedulerDecider()

    def messages(self):
        return BODIES

    def check(self, state):
        check(state)


@settings(max_examples=150, **RELAXED)
@given(st.lists(BODIES, max_size=60))
def test_all_events_are_allowed_and_no_slot_is_held_twice(bodies):
    desk = Desk()
    for body in bodies:
        desk.tell(body)
        assert desk.tell(body) == [], "the same again decides nothing"


@settings(max_examples=60, **RELAXED)
@given(st.lists(BODIES, max_size=40), st.randoms(use_true_random=False))
def test_whatever_happened_all_ends_when_all_runs_exit(bodies, chance):
    desk = Desk(*bodies)
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
