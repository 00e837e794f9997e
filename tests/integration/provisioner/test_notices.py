"""Preemptions through Pub/Sub, by Google's own client."""

import asyncio
import json

import pytest
from fakes.pubsub import FakePubSub, serving
from google.cloud import pubsub_v1
from waiting import until

from shoal_provisioner.shell.notices import Notices, preempted_machine

TOPIC, SUBSCRIPTION = "projects/lab/topics/preempted", "projects/lab/subscriptions/shoal"


def entry(name="shoal-p-0", method="compute.instances.preempted"):
    """As the audit log has it: https://cloud.google.com/logging/docs/audit/understanding-audit-logs"""
    return json.dumps(
        {
            "insertId": "-x1",
            "logName": "projects/lab/logs/cloudaudit.googleapis.com%2Fsystem_event",
            "protoPayload": {
                "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
                "methodName": method,
                "resourceName": f"projects/lab/zones/us-central1-a/instances/{name}",
                "serviceName": "compute.googleapis.com",
            },
            "resource": {"type": "gce_instance", "labels": {"zone": "us-central1-a"}},
            "timestamp": "2026-01-01T00:00:00Z",
        }
    ).encode()


@pytest.fixture
def pubsub(monkeypatch):
    fake = FakePubSub()
    with serving(fake) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        fake.subscribe(SUBSCRIPTION, TOPIC)
        yield fake


def publish(*data):
    client = pubsub_v1.PublisherClient()
    for one in data:
        client.publish(TOPIC, one).result(10)


async def hearing(tell, **given):
    task = asyncio.create_task(Notices(SUBSCRIPTION, "shoal", tell, pause=0.1, **given).run())
    await asyncio.sleep(0)
    return task


async def end(task):
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (entry(), "p-0"),
        (entry("other-p-0"), None),
        (entry(method="compute.instances.delete"), None),
        (b"", None),
        (b"[]", None),
        (b'{"protoPayload": null}', None),
        (b'{"protoPayload": {"methodName": 1, "resourceName": 2}}', None),
    ],
)
def test_only_preemptions_of_our_machines_count(data, name):
    assert preempted_machine(data, "shoal") == name


async def test_a_message_is_acknowledged_only_when_what_it_says_is_kept(pubsub):
    kept, heard = asyncio.Event(), []

    async def tell(name, message_id):
        heard.append((name, message_id))
        await kept.wait()

    task = await hearing(tell)
    await asyncio.to_thread(publish, entry(), b"nonsense", entry("theirs"))
    await until(lambda: len(heard) == 1 and len(pubsub.acked) == 2)
    assert heard == [("p-0", "1")]
    assert "1" not in pubsub.acked
    kept.set()
    await until(lambda: "1" in pubsub.acked)
    await end(task)


async def test_what_could_not_be_kept_comes_again(pubsub):
    heard = []

    async def tell(name, message_id):
        heard.append(name)
        if len(heard) == 1:
            raise RuntimeError("the stream is away")

    task = await hearing(tell)
    await asyncio.to_thread(publish, entry())
    await until(lambda: pubsub.acked == ["1"])
    assert heard == ["p-0", "p-0"]
    await end(task)


async def test_what_a_dead_process_had_is_given_to_the_next(pubsub):
    pubsub.longest_lease = 0.5
    first, second = [], []

    async def never(name, message_id):
        first.append(name)
        await asyncio.sleep(3600)

    async def tell(name, message_id):
        second.append(name)

    task = await hearing(never)
    await asyncio.to_thread(publish, entry())
    await until(lambda: first)
    await end(task)
    task = await hearing(tell)
    await until(lambda: pubsub.acked == ["1"])
    assert set(second) == {"p-0"}
    await end(task)


async def test_a_broken_stream_is_opened_again(pubsub):
    heard = []

    async def tell(name, message_id):
        heard.append(name)

    task = await hearing(tell)
    await until(lambda: pubsub.streams == 1)
    pubsub.break_streams()
    await asyncio.to_thread(publish, entry("shoal-p-3"))
    await until(lambda: heard == ["p-3"])
    await end(task)


async def test_no_more_is_taken_than_can_be_handled(pubsub):
    open_, heard = asyncio.Event(), []

    async def tell(name, message_id):
        heard.append(name)
        await open_.wait()

    await asyncio.to_thread(publish, *[entry(f"shoal-p-{n}") for n in range(20)])
    task = await hearing(tell, at_once=4)
    await until(lambda: len(heard) == 4)
    await asyncio.sleep(0.3)
    assert len(heard) == 4
    open_.set()
    await until(lambda: len(pubsub.acked) == 20)
    assert sorted(heard) == sorted(f"p-{n}" for n in range(20))
    await end(task)


async def test_a_subscription_that_is_not_there_is_tried_again(pubsub, caplog):
    async def tell(name, message_id):
        raise AssertionError

    notices = Notices("projects/lab/subscriptions/none", "shoal", tell, pause=0.05)
    task = asyncio.create_task(notices.run())
    await until(lambda: pubsub.streams >= 2)
    assert not task.done()
    assert "cannot be read" in caplog.text
    await end(task)
