from hypothesis import given
from hypothesis import strategies as st

from shoal_scheduler.core.tables import Fork, Line, change, reader

STEPS = st.lists(st.tuples(st.sampled_from("spf"), st.integers(0, 5), st.integers()), max_size=40)


@given(st.dictionaries(st.integers(0, 5), st.integers()), STEPS)
def test_a_fork_is_a_dict_that_leaves_its_base_alone(base, steps):
    before, plain, fork = dict(base), dict(base), Fork(base)
    for step, key, value in steps:
        if step == "s":
            plain[key] = fork[key] = value
        elif step == "p":
            assert fork.pop(key, None) == plain.pop(key, None)
        else:
            assert fork.get(key) == plain.get(key)
            assert (key in fork) == (key in plain)
    assert dict(fork.items()) == plain
    get = reader(fork)
    assert [get(key) for key in range(6)] == [plain.get(key) for key in range(6)]
    assert len(fork) == len(plain)
    assert bool(fork) == bool(plain)
    assert base == before
    fork.settle()
    assert list(base.items()) == list(plain.items()), "in the same order"


def test_a_value_is_copied_before_it_is_changed():
    base = {"a": [1]}
    fork = Fork(base, list)
    change(fork, "a").append(2)
    assert (fork["a"], base["a"]) == ([1, 2], [1])
    change(base, "a").append(3)
    assert base["a"] == [1, 3]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3000)), max_size=60), st.integers(0, 3000))
def test_a_line_is_sorted_and_its_fork_apart(steps, probe):
    line: Line[tuple[int]] = Line()
    for number in range(0, 3000, 3):
        line.add((number,))
    before, fork = list(line), line.fork()
    plain = list(before)
    for adds, number in steps:
        if adds:
            plain.append((number,))
            fork.add((number,))
        elif (number,) in plain:
            plain.remove((number,))
            fork.remove((number,))
    plain.sort()
    assert list(fork) == plain
    assert list(reversed(fork)) == plain[::-1]
    assert len(fork) == len(plain)
    assert list(fork.since((probe,))) == [entry for entry in plain if entry >= (probe,)]
    assert fork.from_((probe,)) == min((e for e in plain if e >= (probe,)), default=None)
    assert fork.before((probe,)) == max((e for e in plain if e < (probe,)), default=None)
    less = [entry for entry in plain if entry < (probe,)]
    assert list(fork.back((probe,))) == less[::-1]
    assert fork.place((probe,)) == len(less)
    assert fork.some(probe, 300) == plain[probe : probe + 300]
    line.add((1,))
    assert list(fork) == plain, "neither sees what the other changes"
    assert list(line) == sorted([*before, (1,)])
