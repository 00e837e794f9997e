import asyncio
from dataclasses import replace

import pytest
from integration.bus.toy import Asked, stored
from nats.js import api

from shoal_bus.bus import Bus, BusSettings, ConflictError, StreamMismatchError
from shoal_contract.subjects import EXPERIMENTS, SCHEDULE, STREAMS, TRAINING, asked_of


async def test_it_waits_for_the_server_and_makes_the_streams(nats_server):
    nats_server.stop()
    settings = BusSettings(nats_url=nats_server.url, service="s", replica="r")
    connecting = [asyncio.create_task(Bus.connect(settings)) for _ in range(2)]
    done, _ = await asyncio.wait(connecting, timeout=0.5)
    assert not done
    await asyncio.to_thread(nats_server.start)
    one, two = await asyncio.wait_for(asyncio.gather(*connecting), 20)
    found = {info.config.name: info.config for info in await one.js.streams_info()}
    assert {stream.name for stream in STREAMS} <= set(found)
    assert found[EXPERIMENTS.name].allow_atomic
    assert found[TRAINING.name].persist_mode == api.PersistMode.ASYNC
    await one.close()
    await two.close()


async def test_a_stream_with_other_subjects_is_an_error_that_says_so(bus):
    one = await bus()
    await one.js.delete_stream(EXPERIMENTS.name)
    await one.js.add_stream(name=EXPERIMENTS.name, subjects=["old.>"])
    with pytest.raises(StreamMismatchError, match="old"):
        await bus("other")


async def test_publishing_goes_on_after_a_restart(bus, nats_server):
    one = await bus()
    await asyncio.to_thread(nats_server.stop)
    publishing = asyncio.create_task(one.publish(Asked(name="a"), id="1"))
    await asyncio.sleep(0)
    await asyncio.to_thread(nats_server.start)
    await asyncio.wait_for(publishing, 20)
    assert [envelope.id for envelope in await stored(one, EXPERIMENTS)] == ["1"]


async def test_a_message_may_have_to_be_the_next_of_several_subjects(bus):
    one = await bus()
    among = asked_of("*")
    last = await one.publish(Asked(name="a"), id="1")
    assert await one.last_of(EXPERIMENTS, among) == last
    with pytest.raises(ConflictError, match=r"experiment\.\*"):
        await one.publish(Asked(name="b"), id="2", after=0, among=among)
    await one.publish(Asked(name="b"), id="3", after=last, among=among)
    with pytest.raises(ConflictError):
        await one.publish(Asked(name="a"), id="4", after=last, among=among)
    await one.publish(Asked(name="a"), id="5", after=last)  # of its own subject it is the next


async def test_more_than_a_thousand_can_read_one_stream(bus):
    """Each worker is a reader of the schedule; the server's own limit is 1,000."""
    bus = await bus("worker")
    reader = api.ConsumerConfig(ack_policy=api.AckPolicy.NONE, inactive_threshold=60)
    for number in range(1001):
        await bus.js.add_consumer(SCHEDULE.name, replace(reader, durable_name=f"reader-{number}"))
    assert (await bus.js.stream_info(SCHEDULE.name)).state.consumer_count == 1001


async def test_connecting_ends_when_it_is_told_to_even_if_that_was_swallowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        if not connecting.cancelling():
            connecting.cancel()  # in the moment in which the answer comes
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio, "open_connection", refuse)
    connecting = asyncio.create_task(Bus.connect(BusSettings(service="s", replica="r")))
    await asyncio.wait([connecting], timeout=5)
    assert connecting.cancelled()
