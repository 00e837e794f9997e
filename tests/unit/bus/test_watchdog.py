from shoal_bus.watchdog import Watchdog


def fed(until: float) -> Watchdog:
    """Heard a and b at 0, asked twice a second."""
    dog = Watchdog(10)
    assert dog.seen("a", "1", 0)
    assert dog.seen("b", "1", 0)
    for half in range(int(until * 2)):
        assert dog.silent(half / 2) == []
    return dog


def test_who_is_not_heard_for_longer_than_the_time_out_is_silent_until_heard():
    dog = fed(10)
    assert not dog.seen("a", "1", 9)
    assert dog.silent(10.5) == [("b", "1")]
    assert dog.silent(11) == [("b", "1")]
    dog.seen("b", "1", 11)
    assert dog.silent(12) == []


def test_another_incarnation_is_a_new_life():
    dog = fed(1)
    assert dog.seen("a", "2", 1)
    assert not dog.seen("a", "2", 2)


def test_nobody_is_silent_because_we_stood_still_or_were_cut_off():
    dog = fed(9)
    assert dog.silent(100) == []  # we did not ask for 91 seconds
    for half in range(202, 220):
        assert dog.silent(half / 2) == []
    dog.forgive(110)
    assert dog.silent(110.5) == []
    dog.forget("a")
    times = [t / 2 for t in range(222, 242)]
    assert [found for t in times if (found := dog.silent(t))] == [[("b", "1")]]
