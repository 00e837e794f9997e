import pytest
from hypothesis import strategies as st
from laws.decider_laws import DeciderLaws
from laws.sample import Doors, Forgetful, Hashing, Meddling, SampleAsked

from shoal_decider import Tick


class TestDoors(DeciderLaws):
    def decider(self):
        return Doors()

    def messages(self):
        asked = st.sampled_from("abcdefgh").map(lambda door: SampleAsked(door=door))
        return st.one_of(asked, st.just(Tick()))

    def check(self, state):
        assert sorted(state.values()) == list(range(len(state)))


@pytest.mark.parametrize(
    ("decider", "law"),
    [
        (Forgetful, "test_the_same_message_twice_decides_nothing_new"),
        (Hashing, "test_the_log_does_not_depend_on_the_hash_seed"),
        (Meddling, "test_deciding_leaves_the_state_alone"),
    ],
)
def test_who_breaks_a_law_is_found(decider, law):
    laws = TestDoors()
    laws.decider = decider
    with pytest.raises(AssertionError):
        getattr(laws, law)()
