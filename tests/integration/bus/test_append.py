import pytest
from integration.bus.toy import Asked, Counted, host_of, leads, running, stored
from waiting import until

from shoal_bus import commit
from shoal_bus.append import FencedError, append
from shoal_contract.envelope import Envelope
from shoal_contract.events import ShardAppended
from shoal_contract.subjects import SEARCH


def envelopes(*ids):
    return [
        Envelope(id=id, source="/t", time=1.0, event=Counted(name="a", index=i))
        for i, id in enumerate(ids)
    ]


async def last(bus):
    return (await bus.js.stream_info(SEARCH.name)).state.last_seq


async def test_a_batch_is_appended_whole_at_the_expected_place(bus):
    one = await bus()
    assert await append(one, SEARCH, envelopes("a"), 0) == 1
    assert await append(one, SEARCH, envelopes("b", "c"), 1) == 3
    assert await append(one, SEARCH, envelopes(*(f"d{i}" for i in range(500))), 3) == 503
    assert await last(one) == 503


@pytest.mark.parametrize("ids", [["x"], ["x", "y"], ["x", "y", "z", "w"]])
async def test_or_not_at_all(bus, ids):
    one = await bus()
    await append(one, SEARCH, envelopes("a", "b"), 0)
    with pytest.raises(FencedError):
        await append(one, SEARCH, envelopes(*ids), 1)
    with pytest.raises(FencedError):
        await append(one, SEARCH, envelopes(*ids[:-1], "a"), 2)
    assert await last(one) == 2


async def test_a_group_of_messages_is_one_append(bus, monkeypatch):
    one = await bus("counter")
    sizes = []
    real = append

    async def spy(bus, stream, envelopes, expected, mark):
        sizes.append(len(envelopes))
        return await real(bus, stream, envelopes, expected, mark)

    monkeypatch.setattr(commit, "append", spy)
    for number in range(200):
        await one.publish(Asked(name=f"n{number}", count=2), id=f"m{number}")
    host = host_of(one)
    async with running(host):
        await leads(host)
        await until(lambda: len(host.state) == 200)
    assert sum(sizes) == 400
    assert len(sizes) < 40


async def test_with_marks_each_shard_is_fenced_by_itself(bus):
    one = await bus("counter")
    first, second = (
        Envelope(id=f"mark-{name}-{n}", source="/t", time=0.0, event=ShardAppended(shard=name))
        for n, name in enumerate(("0of2", "1of2"))
    )
    assert await append(one, SEARCH, envelopes("a", "b"), 0, first) == 3
    assert await append(one, SEARCH, envelopes("c"), 0, second) == 5
    again = first.model_copy(update={"id": "mark-again"})
    with pytest.raises(FencedError):
        await append(one, SEARCH, envelopes("d"), 0, again)
    assert await append(one, SEARCH, envelopes("d"), 1, again) == 7
    assert [e.event.type for e in await stored(one, SEARCH)].count("search.appended") == 3
