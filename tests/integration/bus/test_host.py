import asyncio

import pytest
from integration.bus.toy import (
    BUG,
    Add,
    Asked,
    Counted,
    counted,
    host_of,
    journal_becomes,
    leads,
    running,
    stored,
)
from waiting import until

from shoal_bus import commit, consume
from shoal_bus import host as host_module
from shoal_bus.bus import LEASES
from shoal_bus.consume import Delivery
from shoal_bus.deciding import DecideError
from shoal_bus.host import Host
from shoal_bus.lease import Lease
from shoal_bus.replay import remember
from shoal_bus.snapshot import Causes, Snapshot, save_snapshot, shape_of
from shoal_contract.events import Refused
from shoal_contract.ids import event_id
from shoal_contract.subjects import DEAD_LETTERS, EXPERIMENTS, REFUSED, SEARCH


async def ask(bus, names, count=2):
    for name in names:
        await bus.publish(Asked(name=name, count=count), id=f"m-{name}")


async def test_it_decides_appends_acknowledges_and_says_so(bus):
    one = await bus("counter")
    committed = []

    async def note(envelopes):
        committed.extend(envelopes)

    host = host_of(one, on_commit=note)
    async with running(host):
        await leads(host)
        await ask(one, "ab")
        await until(lambda: len(committed) == 4)
        assert host.state == {"a": [0, 1], "b": [0, 1]}
        told = await asyncio.wait_for(host.told(Add(name="c")), 5)
        assert told == [Counted(name="c", index=-1)]
        host.tell(Add(name="c"))
        await journal_becomes(one, {"a": [0, 1], "b": [0, 1], "c": [-1, -1]})
    journal = await stored(one, SEARCH)
    assert [e.id for e in journal[:2]] == [event_id("counter", "m-a", i) for i in (0, 1)]
    assert journal[0].cause == "m-a"
    info = await one.js.consumer_info(EXPERIMENTS.name, "counter")
    assert (info.num_ack_pending, info.num_pending) == (0, 0)


async def test_a_refusal_goes_to_its_own_stream(bus):
    one = await bus("counter")
    host = host_of(one)
    async with running(host):
        await leads(host)
        await ask(one, "a", count=-1)
        answer = await host.told(Asked(name="b", count=-1))
        async with asyncio.timeout(20):
            while len(await stored(one, REFUSED)) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert [type(event) for event in answer] == [Refused]
    assert await stored(one, SEARCH) == []
    assert {e.event.subject_id for e in await stored(one, REFUSED)} == {"a", "b"}


async def test_a_crash_between_append_and_acknowledgement_decides_nothing_twice(bus, monkeypatch):
    one = await bus("counter")
    await ask(one, "abc")

    async def crash(_):
        raise RuntimeError("the process dies")

    with monkeypatch.context() as patch:
        patch.setattr(Delivery, "ack", crash)
        with pytest.raises(RuntimeError, match="dies"):
            await host_of(one).run()
    again = host_of(one)
    async with running(again):
        await leads(again)
        await ask(one, "d")
        await until(lambda: "d" in again.state)
        await journal_becomes(one, {name: [0, 1] for name in "abcd"})
        assert again.state == {name: [0, 1] for name in "abcd"}


async def test_a_crash_before_the_append_loses_nothing_and_keeps_the_order(bus, monkeypatch):
    one = await bus("counter")
    await ask(one, "abc")

    async def crash(*_):
        raise RuntimeError("the process dies")

    with monkeypatch.context() as patch:
        patch.setattr(commit, "append", crash)
        with pytest.raises(RuntimeError, match="dies"):
            await host_of(one).run()
    await ask(one, "d")
    again = host_of(one)
    async with running(again):
        await until(lambda: again.leading.is_set() and "d" in again.state, 4)
        assert list(again.state) == list("abcd")


async def test_lost_acknowledgements_only_cause_repetitions(bus, monkeypatch):
    monkeypatch.setattr(consume, "ACK_WAIT", 0.5)
    one = await bus("counter")
    real, lost = Delivery.ack, []

    async def lose_first(self):
        if self.deliveries < 3:
            lost.append(self.envelope.id)
        else:
            await real(self)

    monkeypatch.setattr(Delivery, "ack", lose_first)
    host = host_of(one)
    async with running(host):
        await leads(host)
        await ask(one, "abcdef")
        await until(lambda: len(lost) >= 12)
    assert await counted(one) == {name: [0, 1] for name in "abcdef"}


async def test_two_hosts_that_both_believe_to_lead_make_one_journal(bus, monkeypatch):
    class NoLease:
        def __init__(self, *_):
            self.lost = asyncio.Event()

        async def acquire(self):
            pass

        async def release(self):
            pass

    monkeypatch.setattr(host_module, "Lease", NoLease)
    first, second = await bus("counter", "r1"), await bus("counter", "r2")
    hosts = host_of(first), host_of(second)
    names = [f"n{number}" for number in range(150)]
    async with running(*hosts):
        for host in hosts:
            await leads(host)
        await ask(first, names)
        await journal_becomes(first, {name: [0, 1] for name in names})
    assert len(await stored(first, SEARCH)) == 2 * len(names)


async def test_a_standby_takes_over_when_the_leader_ends(bus):
    first, second = await bus("counter", "r1"), await bus("counter", "r2")
    leader, standby = host_of(first), host_of(second)
    async with running(leader):
        await leads(leader)
        async with running(standby):
            await ask(first, "a")
            await until(lambda: "a" in leader.state)
            assert not standby.leading.is_set()
            leader.stop()
            await leads(standby)
            await ask(first, "b")
            await until(lambda: "b" in standby.state)
            assert standby.state == {"a": [0, 1], "b": [0, 1]}


async def test_the_server_restarts_in_the_middle(bus, nats_server):
    writer, one = await bus("writer"), await bus("counter")
    host = host_of(one)
    names = [f"n{number}" for number in range(90)]
    async with running(host):
        await leads(host)
        for number, name in enumerate(names):
            if number in (30, 60):
                end = nats_server.stop if number == 30 else nats_server.kill
                await asyncio.to_thread(end)
                await asyncio.to_thread(nats_server.start)
            await ask(writer, [name])
        await journal_becomes(one, {name: [0, 1] for name in names})
        assert host.state == {name: [0, 1] for name in names}


async def test_snapshot_and_replay_equal_the_full_replay(bus, monkeypatch):
    monkeypatch.setattr(commit, "SNAPSHOT_EVERY", 50)
    one = await bus("counter")
    host = host_of(one)
    async with running(host):
        await leads(host)
        await ask(one, [f"n{number}" for number in range(70)])
        await journal_becomes(one, {f"n{number}": [0, 1] for number in range(70)})
        memory = await remember(one, host._decider, SEARCH)
        assert memory.replayed < 140
        assert memory.state == host.state == await counted(one)
        assert "m-n69" in memory.causes
        assert "m-n0" in memory.causes
    memory = await remember(one, host._decider, SEARCH)
    assert (memory.replayed, memory.journal_seq) == (0, 140)  # it was kept at the end
    assert memory.state == await counted(one)


@pytest.mark.parametrize(
    ("state", "shape"),
    [(b'{"n0": [9]}', "an older one"), (b'{"n0": [9]}', ""), (b"no state", shape_of(dict))],
    ids=["of another shape", "of no shape", "that cannot be loaded"],
)
async def test_a_snapshot_that_another_version_wrote_is_replaced_by_a_replay(bus, state, shape):
    one = await bus("counter")
    host = host_of(one)
    async with running(host):
        await leads(host)
        await ask(one, ["n0"])
        await journal_becomes(one, {"n0": [0, 1]})
    await save_snapshot(one, "counter", Snapshot(2, state, Causes(), shape))
    memory = await remember(one, host._decider, SEARCH)
    assert (memory.replayed, memory.state) == (2, {"n0": [0, 1]})
    assert "m-n0" in memory.causes


async def test_a_bug_stops_the_host_until_the_message_is_a_dead_letter(bus):
    one = await bus("counter")
    await ask(one, "a")
    await ask(one, "x", count=BUG)
    await ask(one, "b")
    crashes = 0
    while True:  # as a supervisor would
        host = host_of(one)
        run = asyncio.create_task(host.run())
        buried = asyncio.create_task(_dead_letter(one))
        await asyncio.wait((run, buried), timeout=20, return_when=asyncio.FIRST_COMPLETED)
        buried.cancel()
        if not run.done():
            break
        assert isinstance(run.exception(), DecideError)
        crashes += 1
    await journal_becomes(one, {"a": [0, 1], "b": [0, 1]})
    host.stop()
    await run
    assert crashes == consume.MAX_DELIVERIES - 1
    raw = await one.js.get_msg(DEAD_LETTERS.name, 1)
    assert raw.headers["orig-ce-id"] == "m-x"
    assert "a bug" in raw.headers["shoal-reason"]


async def _dead_letter(bus):
    while not (await bus.js.stream_info(DEAD_LETTERS.name)).state.messages:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def test_without_a_journal_events_go_out_in_order(bus):
    one = await bus("worker", "node-1")
    host_ = host_of(one)
    host = Host(one, host_._decider, None, host_._inputs, tick=0.2)
    async with running(host):
        await leads(host)
        await ask(one, "ab", count=20)
        await until(lambda: len(host.state.get("b", ())) == 20)
        await host.told(Add(name="z"))
    found = [(e.event.name, e.event.index) for e in await stored(one, SEARCH)]
    assert found == [(n, i) for n in "ab" for i in range(20)] + [("z", -1)]


async def test_a_standby_that_ends_leaves_the_lease_alone(bus):
    first, second = await bus("counter", "r1"), await bus("counter", "r2")
    leader, standby = host_of(first), host_of(second)
    async with running(leader):
        await leads(leader)
        before = await (await first.bucket(LEASES)).get("leader.counter")
        run = asyncio.create_task(standby.run())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(standby.leading.wait(), 1)
        standby.stop()
        await asyncio.wait_for(run, 5)
        after = await (await first.bucket(LEASES)).get("leader.counter")
        assert before.value == after.value == b"r1"
        assert leader.leading.is_set()


async def test_the_same_replica_takes_its_lease_back_at_once(bus):
    one, again = await bus("counter", "r1"), await bus("counter", "r1")
    lease = Lease(one, "leader.counter", "r1")
    await lease.acquire()
    assert lease._renewal is not None
    lease._renewal.cancel()  # a crash: it is neither renewed nor given back
    await asyncio.wait_for(Lease(again, "leader.counter", "r1").acquire(), 1)


async def test_those_who_wait_are_told_that_the_host_has_stopped(bus):
    one = await bus("counter")
    host = host_of(one)
    waiting = asyncio.create_task(host.told(Add(name="a")))
    host.stop()
    await host.run()
    with pytest.raises(RuntimeError, match="stopped"):
        await waiting
