from integration.bus.toy import Asked

from shoal_bus.history import read_all
from shoal_contract.subjects import EXPERIMENTS, SEARCH, all_of


async def test_what_a_stream_holds_of_some_subjects_is_read_in_order(bus):
    one = await bus()
    for number in range(600):
        await one.publish(Asked(name="abc"[number % 3], count=number), id=str(number))
    some = [all_of("experiment.asked", "a"), all_of("experiment.asked", "c")]
    found = await read_all(one, EXPERIMENTS, some)
    assert [e.event.count for e in found] == [n for n in range(600) if n % 3 != 1]
    assert found[0].source == "/shoal/test/test"
    assert await read_all(one, EXPERIMENTS, [all_of("experiment.asked", "nobody")]) == []
    assert await read_all(one, SEARCH, [all_of("trial.*", "e", "e-0")]) == []
    assert await read_all(one, EXPERIMENTS, []) == []


async def test_bytes_that_are_no_event_are_left_out(bus):
    one = await bus()
    await one.publish(Asked(name="a"), id="1")
    await one.js.publish("shoal.v1.experiment.asked.a", b"junk")
    (found,) = await read_all(one, EXPERIMENTS, ["shoal.v1.experiment.asked.a"])
    assert found.id == "1"
