"""Events to rows, without Redis."""

import itertools
from typing import Any

import pytest

from shoal_contract.config import Resources
from shoal_contract.envelope import Envelope
from shoal_contract.events import (
    REGISTER,
    AllocationEnded,
    AllocationGranted,
    AllocationQueued,
    CheckpointSaved,
    Event,
    ExperimentSubmitted,
    Placement,
    Rendezvous,
    SearchChanged,
    SearchClosing,
    SearchCompleted,
    Task,
    TrialCreated,
    TrialInterrupted,
    TrialMeasured,
    TrialReleased,
    TrialRequested,
    TrialStarted,
    TrialStopped,
)
from shoal_contract.events.search import BestTrial
from shoal_contract.events.trial import Checkpoint
from shoal_contract.parse import parse_experiment
from shoal_contract.states import Outcome
from shoal_contract.subjects import SCHEDULE, SEARCH, stream_of
from shoal_gateway.core import keys, positions, rows
from shoal_gateway.core.changes import (
    AddToIndex,
    Append,
    Change,
    Increment,
    KeepBest,
    Of,
    RemoveField,
    SetCounted,
    SetFields,
    finite,
)
from shoal_gateway.core.projections import project

CONFIG = parse_experiment(
    {
        "name": "x",
        "entrypoint": "python x.py",
        "searcher": {"name": "single", "metric": "loss", "max_time": 4},
    }
)
IDS: dict[str, Any] = {"experiment_id": "e", "trial_id": "e-0"}
TASK = Task(
    **IDS, attempt=1, entrypoint=["x"], bundle=None, hyperparameters={}, seed=0, environment={},
    metric="loss", smaller_is_better=True, time_metric="step", target=4, storage_url="file:///s",
    checkpoint=None,
)  # fmt: skip
SUBMITTED = ExperimentSubmitted(experiment_id="e", config=CONFIG, storage_url="file:///s")
CREATED = TrialCreated(**IDS, number=0, hyperparameters={"lr": 1}, seed=3)
QUEUED = AllocationQueued(**IDS, allocation_id="e-0-a1", task=TASK, resources=Resources(priority=7))
GRANTED = AllocationGranted(
    **IDS, allocation_id="e-0-a1", attempt=1, at=5.0, rendezvous=Rendezvous(host="h", port=1),
    placements=[
        Placement(node_id="n1", incarnation="i", slots=[0, 1]),
        Placement(node_id="n2", incarnation="i", slots=[3]),
    ],
)  # fmt: skip
ENDED = AllocationEnded(
    **IDS, allocation_id="e-0-a1", attempt=1, outcome=Outcome.PREEMPTED, reason="spot", slots=3,
    seconds=2.5,
)  # fmt: skip


def changes(event: Event, time: float = 0.0) -> list[Change]:
    """What an event changes, whatever it belongs to."""
    found = project(Envelope(id="i", source="s", time=time, event=event))
    return [c.change if isinstance(c, Of) else c for c in found]


class Model:
    """The changes, carried out on dicts as the store does on Redis."""

    def __init__(self, *events: Event) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.lists: dict[str, list[Any]] = {}
        self.index: dict[str, dict[str, float]] = {}
        for number, event in enumerate(events):
            self.apply(event, float(number))

    def apply(self, event: Event, time: float) -> None:
        for c in changes(event, time):
            match c:
                case SetFields():
                    self.rows.setdefault(c.key, {}).update(c.fields)
                case RemoveField():
                    self.rows.get(c.key, {}).pop(c.field, None)
                case Increment():
                    row = self.rows.setdefault(c.key, {})
                    row[c.field] = row.get(c.field, 0) + c.by
                case KeepBest():
                    row = self.rows.setdefault(c.key, {})
                    old = row.get(c.field)
                    sign = 1 if c.smaller else -1
                    if old is None or sign * c.metric < sign * old["metric"]:
                        row[c.field] = c.value | {"metric": c.metric}
                case AddToIndex():
                    self.index.setdefault(c.index, {})[c.member] = c.score
                case SetCounted():
                    row, counts = (self.rows.setdefault(k, {}) for k in (c.key, c.counts))
                    if (old := row.get(c.field)) is not None:
                        counts[old] -= 1
                    row[c.field] = c.text
                    counts[c.text] = counts.get(c.text, 0) + 1
                case Append():
                    self.lists.setdefault(c.key, []).append(c.item)

    def queue(self) -> list[dict[str, Any]]:
        tables = (keys.QUEUE, keys.WAITING, keys.MOVED, keys.SHARES)
        return [row for _, row in rows.queue(*(self.rows.get(table, {}) for table in tables))]

    def trial(self, smaller: bool = True) -> dict[str, Any]:
        return rows.trial(self.rows[keys.trial("e-0")], smaller)

    def experiment(self) -> dict[str, Any]:
        counts = self.rows.get(keys.state_counts("e"), {})
        return rows.experiment(self.rows[keys.experiment("e")], counts)


def test_an_experiment_counts_its_trials_by_state() -> None:
    second = CREATED.model_copy(update={"trial_id": "e-1", "number": 1})
    model = Model(SUBMITTED, CREATED, second, TrialStopped(**IDS, reason="below the cut"))
    assert model.experiment()["trials"] == {"created": 1, "stopped": 1}
    assert model.experiment()["state"] == "active"
    model.apply(SearchCompleted(experiment_id="e", reason="done", trials=2), 9.0)
    assert model.experiment()["state"] == "completed"
    assert model.experiment()["ended_at"] == 9.0


def test_the_best_follows_the_direction_of_the_metric() -> None:
    results = [TrialMeasured(**IDS, step=s, time=s, metric=m) for s, m in enumerate((3, 1, 2))]
    nan = TrialMeasured(**IDS, step=9, time=9, metric=None)
    model = Model(SUBMITTED, CREATED, *results, nan)
    assert model.experiment()["best"]["metric"] == 1
    assert model.trial(smaller=True)["best"]["step"] == 1
    assert model.trial(smaller=False)["best"]["step"] == 0
    assert model.trial()["metric"] is None


def test_slots_are_held_from_grant_to_end() -> None:
    model = Model(CREATED, QUEUED)
    assert model.queue()[0]["priority"] == 7
    model.apply(GRANTED, 3.0)
    assert model.rows[keys.QUEUE] == {}
    assert (model.trial()["slots"], model.trial()["node_ids"]) == (3, ["n1", "n2"])
    nodes = [{"node_id": n} for n in ("n1", "n2", "n3")]
    held = list(model.rows[keys.ALLOCATIONS].values())
    assert [n["used"] for n in rows.nodes(nodes, held)] == [2, 1, 0]
    model.apply(ENDED, 4.0)
    assert model.rows[keys.ALLOCATIONS] == {}
    row = model.trial()
    assert (row["running"], row["slot_seconds"], row["preemptions"]) == (False, 7.5, 1)


def test_interruptions_are_counted_by_cause() -> None:
    interruptions = [
        TrialInterrupted(**IDS, attempt=1, outcome=o, reason="r")
        for o in (Outcome.FAILED, Outcome.LOST, Outcome.PREEMPTED, Outcome.FAILED)
    ]
    row = Model(CREATED, *interruptions).trial()
    assert (row["restarts"], row["losses"], row["state"]) == (2, 1, "interrupted")


def test_a_changed_search_shows_its_new_numbers() -> None:
    model = Model(SUBMITTED)
    row = model.experiment()
    assert (row["max_trials"], row["max_concurrent_trials"], row["closing"]) == (None, None, None)
    model.apply(SearchChanged(experiment_id="e", max_trials=9), 1.0)
    model.apply(SearchChanged(experiment_id="e", max_concurrent_trials=0), 2.0)
    model.apply(SearchChanged(experiment_id="e"), 3.0)
    model.apply(SearchClosing(experiment_id="e", reason="its budget is spent", at_once=True), 4.0)
    row = model.experiment()
    assert (row["max_trials"], row["max_concurrent_trials"]) == (9, 0)
    assert row["closing"] == "its budget is spent"
    best = BestTrial(
        trial_id="e-0", metric=0.5, step=2, hyperparameters={"lr": float("inf")}, checkpoint=None,
        metrics={"loss": 0.5, "size": 7.0},
    )  # fmt: skip
    ended = SearchCompleted(experiment_id="e", reason="done", best=best, front=[best])
    model.apply(ended, 5.0)
    (found,) = model.experiment()["front"]
    assert found["metrics"] == {"loss": 0.5, "size": 7.0}
    assert found["hyperparameters"] == {"lr": "Infinity"}


def test_where_a_trial_comes_from_is_kept() -> None:
    born = CREATED.model_copy(
        update={"bracket": 2, "origin": "pbt", "parent": "e-9", "rung": 1, "request_id": "r"}
    )
    row = Model(born).trial()
    assert (row["bracket"], row["origin"], row["parent"]) == (2, "pbt", "e-9")
    assert (row["rung"], row["request_id"], row["objectives"]) == (1, "r", [])
    assert Model(CREATED).trial()["rung"] is None


def test_a_trial_is_started_while_it_holds_slots() -> None:
    requested = TrialRequested(**IDS, attempt=1, task=TASK, resources=Resources())
    model = Model(CREATED, requested)
    assert (model.trial()["started"], model.trial()["state"]) == (False, "wanted")
    model.apply(TrialStarted(**IDS, attempt=1, slots=3, at=5.0), 6.0)
    assert (model.trial()["started"], model.trial()["started_at"]) == (True, 5.0)
    for end in (
        TrialReleased(**IDS, attempt=1),
        TrialInterrupted(**IDS, attempt=1, outcome=Outcome.LOST, reason="gone"),
    ):
        model.apply(TrialStarted(**IDS, attempt=1, slots=3, at=5.0), 6.0)
        model.apply(end, 7.0)
        assert model.trial()["started"] is False


def test_rows_of_an_earlier_version_are_readable() -> None:
    old = {
        "trial_id": "e-0", "experiment_id": "e", "number": 0, "hyperparameters": {}, "seed": 1,
        "created_at": 1.0, "state": "wanted",
    }  # fmt: skip
    row = rows.trial(old, True)
    assert (row["bracket"], row["origin"], row["started"]) == (0, None, False)
    submitted = SUBMITTED.model_dump(mode="json") | {"submitted_at": 1.0}
    del submitted["config"]["searcher"]["objectives"]
    assert rows.experiment(submitted, {})["front"] == []


def test_several_objectives_are_kept_beside_the_metric() -> None:
    measured = TrialMeasured(**IDS, step=2, time=2, metric=0.5, objectives=[7.0, None], rung=1)
    model = Model(CREATED, measured)
    assert model.trial()["objectives"] == [7.0, None]
    assert model.rows[keys.trial("e-0")]["rung_1"] == 0.5


def test_streams_may_meet_in_any_order() -> None:
    checkpoint = Checkpoint(url="file:///c", step=2, attempt=1)
    saved = CheckpointSaved(**IDS, allocation_id="e-0-a1", checkpoint=checkpoint)
    lanes = [
        [SUBMITTED],
        [CREATED, TrialMeasured(**IDS, step=2, time=2, metric=0.5, rung=0)],
        [QUEUED, GRANTED, ENDED],
        [saved],
    ]
    orders = set(itertools.permutations([i for i, lane in enumerate(lanes) for _ in lane]))
    results = []
    for order in sorted(orders)[::7]:
        feeds = [iter(lane) for lane in lanes]
        model = Model()
        for lane in order:
            model.apply(next(feeds[lane]), 1.0)
        results.append((model.rows, model.lists, model.index))
    assert all(result == results[0] for result in results)


def test_streams_write_fields_of_their_own() -> None:
    """No field may be written by two streams that are applied side by side."""
    writers: dict[tuple[str, str], str] = {}
    started = TrialStarted(**IDS, attempt=1, slots=3, at=5.0)
    changed = SearchChanged(experiment_id="e", max_trials=9, max_concurrent_trials=3)
    closing = SearchClosing(experiment_id="e", reason="r", at_once=False)
    for event in (SUBMITTED, CREATED, QUEUED, GRANTED, ENDED, started, changed, closing):
        for c in changes(event):
            names = list(c.fields) if isinstance(c, SetFields) else []
            names += [c.field] if isinstance(c, Increment | KeepBest | RemoveField) else []
            for name in names:
                key = c.key  # type: ignore[union-attr]
                stream = stream_of(event.type).name
                assert writers.setdefault((key, name), stream) == stream or name in IDS


def test_what_goes_with_an_experiment_says_so() -> None:
    """All of it is to be found again when the experiment is deleted; what is shared stays."""
    checkpoint = Checkpoint(url="file:///c", step=2, attempt=1)
    saved = CheckpointSaved(**IDS, allocation_id="e-0-a1", checkpoint=checkpoint)
    shared = {keys.QUEUE, keys.WAITING, keys.MOVED, keys.ALLOCATIONS}
    for event in (SUBMITTED, CREATED, QUEUED, GRANTED, ENDED, saved):
        for c in project(Envelope(id="i", source="s", time=0.0, event=event)):
            if isinstance(c, Of):
                assert c.experiment_id == "e"
            else:
                assert isinstance(c, SetFields | RemoveField)
                assert c.key in shared


def test_what_json_has_no_number_for_is_a_string() -> None:
    assert finite({"a": [float("inf"), -float("inf"), 1.0]}) == {"a": ["Infinity", "-Infinity", 1]}


def test_positions_are_read_back() -> None:
    text = positions.encode({SEARCH.name: 7, SCHEDULE.name: 12})
    assert positions.decode(text) == {
        s.name: {SEARCH: 7, SCHEDULE: 12}.get(s, 0) for s in positions.STREAMS
    }
    assert positions.decode("3") is not None  # of a time with fewer streams


@pytest.mark.parametrize("text", ["", "x", "1--2", "-1", "1-2-x", "9" * 30])
def test_foreign_positions_are_refused(text: str) -> None:
    assert positions.decode(text) is None


def test_filters_take_what_is_wanted_of_each_stream() -> None:
    assert positions.filters(SEARCH, None, ()) == []
    assert positions.filters(SEARCH, None, ("allocation.",)) is None
    found = positions.filters(SEARCH, "e", ("shoal.v1.trial.m", "search.pa"))
    assert sorted(found or []) == ["shoal.v1.search.paused.e", "shoal.v1.trial.measured.e.>"]
    every = {
        s for stream in positions.EVENT_STREAMS for s in positions.filters(stream, "e", ()) or []
    }
    assert not [s for s in every if ".order." in s or ".node." in s]
    assert len(every) < len(REGISTER)
