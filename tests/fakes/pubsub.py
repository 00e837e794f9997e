"""Pub/Sub's gRPC services, as far as a subscriber needs them: topics, subscriptions, publishing,
streaming pull with deadlines, extensions and redelivery.

Shapes: https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1. Google's own client
speaks to it when PUBSUB_EMULATOR_HOST has its address.
"""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2
from google.pubsub_v1 import types


@dataclass
class _Lease:
    message: types.PubsubMessage
    until: float = 0.0
    """It may be delivered again from then on."""
    deliveries: int = 0


@dataclass
class FakePubSub:
    """Topics and subscriptions. `longest_lease` and `break_streams` are the faults."""

    longest_lease: float = 600.0
    """Seconds after which a message is delivered again at the latest, whatever was asked for."""
    topics: dict[str, list[str]] = field(default_factory=dict)
    """Topic to its subscriptions."""
    leases: dict[str, dict[str, _Lease]] = field(default_factory=dict)
    """Subscription to acknowledgement id to message: those that are not acknowledged."""
    acked: list[str] = field(default_factory=list)
    """Ids of messages, in the order of acknowledgement."""
    deliveries: list[str] = field(default_factory=list)
    most_outstanding: int = 0
    """The most messages that were delivered and not acknowledged at a time."""
    streams: int = 0
    """Opened so far."""
    _broken: int = 0
    _count: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def subscribe(self, subscription: str, topic: str) -> None:
        """Make a topic, if need be, and a subscription to it."""
        with self._lock:
            self.topics.setdefault(topic, []).append(subscription)
            self.leases.setdefault(subscription, {})

    def break_streams(self) -> None:
        """End all open streams with an error that the client repeats after."""
        self._broken = self.streams

    # The services

    def create_topic(self, request: types.Topic, context: Any) -> types.Topic:
        with self._lock:
            self.topics.setdefault(request.name, [])
        return request

    def create_subscription(self, request: types.Subscription, context: Any) -> types.Subscription:
        self.subscribe(request.name, request.topic)
        return request

    def publish(self, request: types.PublishRequest, context: Any) -> types.PublishResponse:
        with self._lock:
            if request.topic not in self.topics:
                context.abort(grpc.StatusCode.NOT_FOUND, "Resource not found")
            ids = []
            for message in request.messages:
                message.message_id = str(next(self._count))
                ids.append(message.message_id)
                for name in self.topics[request.topic]:
                    self.leases[name][f"ack-{name}-{message.message_id}"] = _Lease(message)
            return types.PublishResponse(message_ids=ids)

    def streaming_pull(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        first = next(requests)
        name, most = first.subscription, first.max_outstanding_messages or 10**6
        with self._lock:
            self.streams += 1
            number, known = self.streams, name in self.leases
        if not known:
            context.abort(grpc.StatusCode.NOT_FOUND, "Resource not found")
        threading.Thread(target=self._listen, args=(requests,), daemon=True).start()
        while context.is_active():
            if number <= self._broken:
                context.abort(grpc.StatusCode.UNAVAILABLE, "The service was unable to fulfill it")
            if batch := self._due(name, most, first.stream_ack_deadline_seconds):
                yield types.StreamingPullResponse(received_messages=batch)
            time.sleep(0.01)

    def _listen(self, requests: Iterator[Any]) -> None:
        with contextlib.suppress(grpc.RpcError, Exception):
            for request in requests:
                self._ack(request.ack_ids)
                for ack_id, seconds in zip(
                    request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True
                ):
                    self._extend([ack_id], seconds)

    def _due(self, name: str, most: int, seconds: int) -> list[types.ReceivedMessage]:
        now, batch = time.monotonic(), []
        with self._lock:
            leases = self.leases[name]
            out = sum(lease.until > now for lease in leases.values())
            for ack_id, lease in leases.items():
                if lease.until > now or out >= most:
                    continue
                out, lease.deliveries = out + 1, lease.deliveries + 1
                lease.until = now + min(seconds, self.longest_lease)
                self.deliveries.append(lease.message.message_id)
                batch.append(types.ReceivedMessage(ack_id=ack_id, message=lease.message))
            self.most_outstanding = max(self.most_outstanding, out)
        return batch

    def acknowledge(self, request: types.AcknowledgeRequest, context: Any) -> empty_pb2.Empty:
        self._ack(request.ack_ids)
        return empty_pb2.Empty()

    def modify_ack_deadline(
        self, request: types.ModifyAckDeadlineRequest, context: Any
    ) -> empty_pb2.Empty:
        self._extend(request.ack_ids, request.ack_deadline_seconds)
        return empty_pb2.Empty()

    def _ack(self, ack_ids: Any) -> None:
        with self._lock:
            for ack_id, leases in itertools.product(ack_ids, self.leases.values()):
                if lease := leases.pop(ack_id, None):
                    self.acked.append(lease.message.message_id)

    def _extend(self, ack_ids: Any, seconds: float) -> None:
        with self._lock:
            for ack_id, leases in itertools.product(ack_ids, self.leases.values()):
                if ack_id in leases:
                    until = time.monotonic() + min(seconds, self.longest_lease)
                    leases[ack_id].until = until


def _unary(handler: Any, request: Any) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(handler, request.deserialize, _dump)


def _dump(message: Any) -> bytes:
    if isinstance(message, empty_pb2.Empty):
        return message.SerializeToString()
    return type(message).serialize(message)


@contextlib.contextmanager
def serving(fake: FakePubSub) -> Iterator[str]:
    """The `host:port` at which the fake listens."""
    server = grpc.server(ThreadPoolExecutor(16))
    publisher = {
        "CreateTopic": _unary(fake.create_topic, types.Topic),
        "Publish": _unary(fake.publish, types.PublishRequest),
    }
    subscriber = {
        "CreateSubscription": _unary(fake.create_subscription, types.Subscription),
        "Acknowledge": _unary(fake.acknowledge, types.AcknowledgeRequest),
        "ModifyAckDeadline": _unary(fake.modify_ack_deadline, types.ModifyAckDeadlineRequest),
        "StreamingPull": grpc.stream_stream_rpc_method_handler(
            fake.streaming_pull, types.StreamingPullRequest.deserialize, _dump
        ),
    }
    for name, methods in (("Publisher", publisher), ("Subscriber", subscriber)):
        handlers = grpc.method_handlers_generic_handler(f"google.pubsub.v1.{name}", methods)
        server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()
