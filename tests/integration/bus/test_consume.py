import asyncio
import time

from integration.bus.toy import Asked
from waiting import until

from shoal_bus.consume import Consumer
from shoal_contract import subjects
from shoal_contract.subjects import EXPERIMENTS, HEARTBEATS


async def test_what_is_published_is_consumed_once_acknowledged(bus):
    one = await bus()
    await one.publish(Asked(name="a"), id="1", cause="why", time=12.5)
    await one.publish(Asked(name="a"), id="1")  # a repetition
    consumer = Consumer(one, EXPERIMENTS, durable="d")
    (delivery,) = await consumer.fetch()
    assert delivery.envelope.event == Asked(name="a")
    assert (delivery.envelope.id, delivery.envelope.cause) == ("1", "why")
    assert delivery.envelope.time == 12.5
    assert delivery.envelope.source == "/shoal/test/test"
    assert (delivery.sequence, delivery.subject) == (1, "shoal.v1.experiment.asked.a")
    await delivery.nak(0)
    (again,) = await consumer.fetch()
    assert again.deliveries == 2
    await again.in_progress()
    await again.ack()
    assert await consumer.fetch(0.3) == []


async def test_filters_and_starts(bus):
    one = await bus()
    for name in "abc":
        await one.publish(Asked(name=name), id=name)
    only = Consumer(one, EXPERIMENTS, filters=[subjects.all_of("experiment.asked", "b")])
    assert [d.envelope.id for d in await only.fetch()] == ["b"]
    later = Consumer(one, EXPERIMENTS, start=3)
    assert [d.envelope.id for d in await later.fetch()] == ["c"]
    fresh = Consumer(one, EXPERIMENTS, start="new")
    await fresh.open()
    await one.publish(Asked(name="d"), id="d")
    assert [d.envelope.id for d in await fresh.fetch()] == ["d"]


async def test_messages_on_their_way_wait_as_well(bus):
    """The server's word that it has sent everything may come before what it sent."""
    one = await bus()
    for name in "abc":
        await one.publish(Asked(name=name), id=name)
    for _ in range(50):
        reader = Consumer(one, EXPERIMENTS, batch=2)
        assert await reader.waiting() == 3
        await reader.fetch()
        read = reader.last
        assert await reader.waiting() == 3 - read
        await reader.close()


async def test_a_reader_knows_when_it_is_at_the_end(bus):
    one = await bus()
    for name in "abc":
        await one.publish(Asked(name=name), id=name)
    nothing = Consumer(one, EXPERIMENTS, filters=[subjects.all_of("experiment.asked", "x")])
    assert await nothing.at_end()
    reader = Consumer(one, EXPERIMENTS, batch=1)
    assert not await reader.at_end()
    await reader.fetch()
    assert not await reader.at_end()
    await reader.fetch()
    await reader.fetch()
    assert await reader.at_end()


async def test_what_is_deleted_is_not_waited_for(bus):
    one = await bus()
    for name in "abc":
        await one.publish(Asked(name=name), id=name)
    reader = Consumer(one, EXPERIMENTS, batch=1)
    await reader.fetch()
    await reader.close()
    await one.purge(EXPERIMENTS, subjects.all_of("experiment.asked"))
    assert await reader.fetch(0.3) == []
    assert await reader.at_end()


async def test_bytes_that_are_no_event_go_to_the_dead_letters_whole(bus):
    one = await bus()
    await one.js.publish("shoal.v1.experiment.odd.x", b"\xff\0junk", headers={"color": "red"})
    await one.publish(Asked(name="a"), id="1")
    consumer = Consumer(one, EXPERIMENTS, durable="reader")
    (good,) = await consumer.fetch()
    assert good.envelope.id == "1"
    raw = await one.js.get_msg("SHOAL_DEAD_LETTERS", 1)
    assert raw.subject == subjects.dead_letter("reader")
    assert raw.data == b"\xff\0junk"
    assert raw.headers["orig-color"] == "red"
    assert "no CloudEvent" in raw.headers["shoal-reason"]
    info = await one.js.consumer_info(EXPERIMENTS.name, "reader")
    assert info.num_ack_pending == 1  # the good one alone


async def test_what_is_never_acknowledged_becomes_a_dead_letter(bus):
    one = await bus()
    await one.publish(Asked(name="a"), id="1")
    consumer = Consumer(one, EXPERIMENTS, durable="reader", max_deliver=2)
    for _ in range(2):
        (delivery,) = await consumer.fetch()
        await delivery.nak(0)
    assert await consumer.fetch(1.0) == []
    raw = await one.js.get_msg("SHOAL_DEAD_LETTERS", 1)
    assert "delivered 3 times" in raw.headers["shoal-reason"]


async def test_an_ephemeral_consumer_misses_nothing_when_the_server_restarts(bus, nats_server):
    writer, reader = await bus("writer"), await bus("reader")
    seen = []

    async def read():
        async for batch in Consumer(reader, EXPERIMENTS).batches():
            seen.extend(d.envelope.id for d in batch)

    task = asyncio.create_task(read())
    for number in range(60):
        if number == 20:
            await asyncio.to_thread(nats_server.stop)
            await asyncio.to_thread(nats_server.start)
        if number == 40:
            await asyncio.to_thread(nats_server.kill)
            await asyncio.to_thread(nats_server.start)
        await writer.publish(Asked(name="a"), id=str(number))
    await until(lambda: len(seen) >= 60)
    assert seen == [str(number) for number in range(60)]
    task.cancel()


async def test_a_memory_stream_is_made_again_after_a_restart(bus, nats_server):
    one = await bus()
    reader = Consumer(one, HEARTBEATS)
    await reader.open()
    await asyncio.to_thread(nats_server.stop)
    await asyncio.to_thread(nats_server.start)
    for _ in range(40):
        await reader.fetch(0.25)
        names = {info.config.name for info in await one.js.streams_info()}
        if HEARTBEATS.name in names:
            break
    assert HEARTBEATS.name in names


async def test_what_has_arrived_but_was_not_taken_is_not_known(bus):
    one = await bus()
    await one.publish(Asked(name="a"), id="1")
    reader = Consumer(one, EXPERIMENTS)
    assert len(await reader.fetch()) == 1
    known = await reader.complete_at()
    assert known > 0
    told = time.time()
    await one.publish(Asked(name="b"), id="2")
    await until(lambda: any(pull.messages for pull in one.pulls))
    assert await reader.complete_at() == known
    assert len(await reader.fetch()) == 1
    assert await reader.complete_at() >= told
    await reader.close()
