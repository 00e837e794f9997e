"""The only place where a subject or a stream is spelled.

A subject is `shoal.v1.<noun>.<verb>.<key>…`; the keys are ids, so a reader may follow one
experiment, trial or node alone. Each stream has one writing service.
"""

from dataclasses import dataclass
from typing import Literal

from shoal_contract.events import REGISTER, Event

PREFIX = "shoal.v1"
FEED = "shoal.feed"
"""What people subscribe to begins so; a workspace's name follows."""
Storage = Literal["synced", "async", "memory"]


@dataclass(frozen=True, slots=True)
class Stream:
    """A JetStream stream: who writes it, what it holds, how safe an acknowledgement is.

    `synced`: written to disk before it is acknowledged. `async`: soon after. `memory`: never.
    """

    name: str
    writer: str
    nouns: tuple[str, ...]
    storage: Storage
    max_age: float = 0
    """Seconds; 0: kept for ever."""
    newest_only: bool = False
    """Keep one message a subject."""
    private: bool = False
    """Not shown to subscribers, and no part of the published contract."""

    @property
    def subjects(self) -> list[str]:
        """The subjects that the stream stores."""
        return [f"{PREFIX}.{noun}.>" for noun in self.nouns]


ACCESS = Stream(
    "SHOAL_ACCESS", "gateway",
    ("setup", "user", "token", "workspace", "template", "model", "webhook"), "synced", private=True,
)  # fmt: skip
SECRETS = Stream("SHOAL_SECRETS", "gateway", ("secret",), "synced", newest_only=True, private=True)
AUDIT = Stream("SHOAL_AUDIT", "gateway", ("audit",), "synced", max_age=400 * 86400, private=True)
EXPERIMENTS = Stream("SHOAL_EXPERIMENTS", "gateway", ("experiment",), "synced")
SEARCH = Stream("SHOAL_SEARCH", "searcher", ("search", "trial"), "synced")
SCHEDULE = Stream(
    "SHOAL_SCHEDULE", "scheduler", ("allocation", "order", "pool", "demand"), "synced"
)
POOL_REQUESTS = Stream("SHOAL_POOL_REQUESTS", "gateway", ("resource_pool",), "synced")
INSTANCES = Stream("SHOAL_INSTANCES", "provisioner", ("instance",), "synced")
RUNS = Stream("SHOAL_RUNS", "worker", ("node", "run", "checkpoint"), "synced")
VALIDATION = Stream("SHOAL_VALIDATION", "worker", ("metric.validation",), "synced")
TRAINING = Stream("SHOAL_TRAINING", "worker", ("metric.training",), "async")
TRACKING = Stream("SHOAL_TRACKING", "gateway", ("tracking",), "synced")
TRACKED = Stream("SHOAL_TRACKED", "gateway", ("metric.logged",), "async")
LOGS = Stream("SHOAL_LOGS", "worker", ("log",), "async", max_age=30 * 86400)
HEARTBEATS = Stream("SHOAL_HEARTBEATS", "worker", ("heartbeat",), "memory", newest_only=True)
REFUSED = Stream("SHOAL_REFUSED", "deciders", ("refused",), "async", max_age=30 * 86400)
DEAD_LETTERS = Stream("SHOAL_DEAD_LETTERS", "bus", ("dead",), "synced", max_age=90 * 86400)

STREAMS = (
    EXPERIMENTS, SEARCH, SCHEDULE, POOL_REQUESTS, INSTANCES, RUNS, VALIDATION, TRAINING, LOGS,
    HEARTBEATS, REFUSED, DEAD_LETTERS, ACCESS, SECRETS, AUDIT,
    TRACKING, TRACKED,
)  # fmt: skip


def subject_of(event: Event) -> str:
    """The subject under which an event is published."""
    return ".".join((PREFIX, event.type, *event.key_values))


def all_of(event_type: str, *keys: str) -> str:
    """The filter for events of a type; keys given narrow it from the left (`*` skips one).

    >>> all_of("trial.requested")
    'shoal.v1.trial.requested.>'
    >>> all_of("order.*", "node-1")
    'shoal.v1.order.*.node-1.>'
    """
    cls = REGISTER.get(event_type)
    complete = cls is not None and len(cls.key) == len(keys)
    return ".".join((PREFIX, event_type, *keys)) + ("" if complete else ".>")


def asked_of(experiment_id: str) -> str:
    """The filter for what was asked of an experiment as a whole, whatever it is.

    >>> asked_of("e1")
    'shoal.v1.experiment.*.e1'
    """
    return f"{PREFIX}.experiment.*.{experiment_id}"


def stream_of(event_type: str) -> Stream:
    """The stream that holds events of a type.

    Raises LookupError if no stream does.
    """
    for stream in STREAMS:
        for noun in stream.nouns:
            if event_type == noun or event_type.startswith(noun + "."):
                return stream
    raise LookupError(f"no stream holds events of type {event_type!r}")


def dead_letter(consumer: str) -> str:
    """The subject for a message that `consumer` could not use."""
    return f"{PREFIX}.dead.letter.{consumer}"


def feed_stream(workspace: str) -> str:
    """The stream with the events of a workspace, on the server to which people connect."""
    return f"SHOAL_FEED_{workspace}"


def feed_subjects(workspace: str) -> str:
    """The filter for all events of a workspace there."""
    return f"{FEED}.{workspace}.>"


def feed_subject(workspace: str, event: Event) -> str:
    """The subject there of an event: `shoal.feed.<workspace>.<type>.<key>…`."""
    return f"{FEED}.{workspace}{subject_of(event).removeprefix(PREFIX)}"
