from hypothesis import given, settings
from hypothesis import strategies as st
from laws.decider_laws import RELAXED, DeciderLaws
from unit.provisioner.yard import (
    ExampleDecider,
    Yard,
    admitted,
    busy,
    check,
    demand,
    failed,
    gone,
    idle,
    pool,
    removed,
    started,
)

from shoal_contract.events import NodeDraining
from shoal_decider import Tick

NUMBERS = st.integers(0, 6)


def draining(number):
    return NodeDraining(
        node_id=f"node-{number}", incarnation="i", instance_id=f"p-{number}", reason="spot"
    )


BODIES = st.one_of(
    st.lists(st.integers(1, 12), max_size=4).map(lambda sizes: demand(*sizes)),
    st.just(demand(3, pool="other")),
    *(
        st.builds(word, NUMBERS)
        for word in (admitted, busy, failed, gone, idle, removed, started, draining)
    ),
    st.just(Tick()),
)


class TestProvisioner(DeciderLaws):
    def decider(self):
        return ExampleDecider()

    def messages(self):
        return BODIES

    def check(self, state):
        check(state, self.decider().pools)


@settings(max_examples=150, **RELAXED)
@given(st.lists(st.tuples(BODIES, st.sampled_from([0.0, 0.5, 3.0, 70.0, 200.0])), max_size=60))
def test_all_events_are_allowed(history):
    yard = Yard(pool(min_instances=1))
    for body, after in history:
        yard.tell(body, after)
        assert yard.tell(body, 0) == [], "the same again decides nothing"
