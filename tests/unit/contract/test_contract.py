"""The contract: every event has one stream and one subject, travels unharmed, and the state
machines name only events that exist."""

import json

import pytest

from shoal_contract import states
from shoal_contract.envelope import BadMessageError, Envelope, decode
from shoal_contract.events import REGISTER, ExperimentSubmitted, TrialPaused
from shoal_contract.ids import event_id
from shoal_contract.parse import parse_experiment
from shoal_contract.subjects import PREFIX, STREAMS, all_of, stream_of, subject_of

TYPES = sorted(t for t, cls in REGISTER.items() if cls.__module__.startswith("shoal_contract."))
"""Without the events that other tests add."""
PAUSED = TrialPaused(experiment_id="e1", trial_id="e1-0", reason="below the cut")


@pytest.mark.parametrize("event_type", TYPES)
def test_every_event_belongs_to_exactly_one_stream(event_type: str) -> None:
    subject = f"{PREFIX}.{event_type}.x"
    holders = [s.name for s in STREAMS if any(subject.startswith(f[:-1]) for f in s.subjects)]
    assert holders == [stream_of(event_type).name]


@pytest.mark.parametrize("event_type", TYPES)
def test_every_key_is_a_field(event_type: str) -> None:
    cls = REGISTER[event_type]
    assert cls.key
    assert set(cls.key) <= set(cls.model_fields)
    assert cls.__doc__


def test_the_subject_ends_with_the_ids() -> None:
    assert subject_of(PAUSED) == "shoal.v1.trial.paused.e1.e1-0"
    assert all_of("trial.paused", "e1") == "shoal.v1.trial.paused.e1.>"
    assert all_of("trial.paused", "e1", "e1-0") == subject_of(PAUSED)


def test_an_event_survives_the_journey() -> None:
    sent = Envelope(
        id="a1", source="/shoal/searcher/0", time=1790000000.25, event=PAUSED,
        cause="c0", traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )  # fmt: skip
    assert decode(sent.headers(), sent.body()) == sent


@pytest.mark.parametrize(
    ("change", "body", "said"),
    [
        ({"ce-type": "shoal.v1.trial.vanished"}, None, "no event type"),
        ({"ce-type": "com.example.thing"}, None, "no event type"),
        ({"ce-id": None}, None, "ce-id"),
        ({"ce-time": "yesterday"}, None, "RFC 3339"),
        ({}, b"{not json", "Invalid JSON"),
        ({}, b'{"experiment_id": "e1", "reason": "r"}', "trial_id"),
        ({}, b'{"experiment_id": "e.1", "trial_id": "t", "reason": "r"}', "experiment_id"),
    ],
)
def test_a_bad_message_says_what_is_wrong(
    change: dict[str, str | None], body: bytes | None, said: str
) -> None:
    envelope = Envelope(id="a1", source="/shoal/x/0", time=1.0, event=PAUSED)
    headers = {k: v for k, v in {**envelope.headers(), **change}.items() if v is not None}
    with pytest.raises(BadMessageError, match=said):
        decode(headers, envelope.body() if body is None else body)


def test_a_newer_writer_may_add_fields() -> None:
    envelope = Envelope(id="a1", source="/shoal/x/0", time=1.0, event=PAUSED)
    body = envelope.body()[:-1] + b', "added_later": 1}'
    assert decode(envelope.headers(), body).event == PAUSED


def test_a_newer_writer_may_add_fields_to_what_people_write_strictly() -> None:
    config = parse_experiment(
        {
            "name": "e",
            "entrypoint": "x",
            "searcher": {"name": "single", "metric": "m", "max_time": 1},
        }
    )
    submitted = ExperimentSubmitted(experiment_id="e", config=config, storage_url="file:///s")
    envelope = Envelope(id="a1", source="/shoal/x/0", time=1.0, event=submitted)
    body = json.loads(envelope.body())
    body["config"]["resources"]["added_later"] = 1
    assert decode(envelope.headers(), json.dumps(body).encode()).event == submitted


def test_event_ids_follow_from_their_cause() -> None:
    assert event_id("searcher", "m1", 0) == event_id("searcher", "m1", 0)
    others = {event_id("scheduler", "m1", 0), event_id("searcher", "m2", 0),
              event_id("searcher", "m1", 1)}  # fmt: skip
    assert len(others | {event_id("searcher", "m1", 0)}) == 4


@pytest.mark.parametrize("name", sorted(states.TABLES))
def test_state_tables_are_closed(name: str) -> None:
    table = states.TABLES[name]
    kinds = {type(state) for state in table}
    assert len(kinds) == 1
    assert set(table) == set(kinds.pop())
    for moves in table.values():
        for event_type, after in moves.items():
            assert event_type in REGISTER
            assert after in table
    assert any(states.terminal(table, s) for s in table) or name == "node"


@pytest.mark.parametrize("name", sorted(states.TABLES))
def test_walk_of_every_pair(name: str) -> None:
    table = states.TABLES[name]
    types = {t for moves in table.values() for t in moves}
    for state, moves in table.items():
        for event_type in types:
            assert states.allowed(table, state, event_type) == (event_type in moves)
