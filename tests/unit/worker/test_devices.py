from shoal_worker.shell import devices


def test_shares_of_the_cpu_share_its_memory() -> None:
    (whole,), halves = devices.slots(1, "cpu"), devices.slots(2, "cpu")
    assert [half.memory for half in halves] == [whole.memory // 2] * 2
    assert whole.memory > 10**8
