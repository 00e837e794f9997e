"""The lifecycle of runs: what follows from orders, from processes, and from a notice."""

from typing import Any

import pytest
from hypothesis import strategies as st
from laws.decider_laws import DeciderLaws
from unit.worker.desk import Desk

from shoal_contract.events import (
    Event,
    ExtendOrdered,
    Rendezvous,
    RunExited,
    RunOrder,
    StartOrdered,
    StopOrdered,
    Task,
)
from shoal_contract.states import Outcome, StopReason
from shoal_decider import Decider, Message, Runner
from shoal_worker.core.failure import is_echo
from shoal_worker.core.messages import DrainRequested, RankEnded, RanksStarted, StartFailed
from shoal_worker.core.state import State


def order(run_id: str, slots: int = 1, world_size: int | None = None) -> RunOrder:
    task = Task(
        experiment_id="e", trial_id="e-0", attempt=1, entrypoint=["python", "t.py"], bundle=None,
        hyperparameters={}, seed=0, environment={}, metric="acc", smaller_is_better=False,
        time_metric="step", target=4, storage_url="file:///s", checkpoint=None,
    )  # fmt: skip
    return RunOrder(
        allocation_id="e-0-a1", run_id=run_id, node_rank=0, first_rank=0, slots=list(range(slots)),
        world_size=world_size or slots, rendezvous=Rendezvous(host="h", port=1), task=task,
    )  # fmt: skip


def start(run_id: str = "r", slots: int = 1, incarnation: str = "i") -> StartOrdered:
    return StartOrdered(
        node_id="n", incarnation=incarnation, allocation_id="e-0-a1", run=order(run_id, slots)
    )


def stop(reason: StopReason, run_id: str = "r", incarnation: str = "i") -> StopOrdered:
    return StopOrdered(
        node_id="n", incarnation=incarnation, allocation_id="e-0-a1", run_id=run_id,
        reason=reason, grace=5,
    )  # fmt: skip


def extend(target: int, run_id: str = "r") -> ExtendOrdered:
    return ExtendOrdered(
        node_id="n", incarnation="i", allocation_id="e-0-a1", run_id=run_id, target=target
    )


def ended(
    rank: int, code: int = 0, tail: str = "", run_id: str = "r", error: str = "", at: float = 0
) -> RankEnded:
    return RankEnded(
        run_id=run_id, rank=rank, exit_code=code, tail=tail, error=error, failed_at=at or None
    )


STARTED = RanksStarted(run_id="r", pids=[1])
DRAIN = DrainRequested(reason="SIGTERM", seconds=20)


def told(*bodies: Any) -> tuple[list[list[Event]], Runner[State]]:
    runner: Runner[State] = Runner.of(Desk())
    return [runner.tell(Message(f"m{k}", 100.0 + k, b)) for k, b in enumerate(bodies)], runner


def types(events: list[Event]) -> list[str]:
    return [event.type for event in events]


@pytest.mark.parametrize(
    ("bodies", "outcome", "reason"),
    [
        ([start(), STARTED, ended(0)], Outcome.COMPLETED, "ended"),
        ([start(), ended(0), STARTED], Outcome.COMPLETED, "ended"),
        ([start(), STARTED, ended(0, 1, "ValueError: x")], Outcome.FAILED, "ValueError: x"),
        ([start(), STARTED, ended(0, -9)], Outcome.FAILED, "signal 9"),
        ([start(), STARTED, stop(StopReason.PREEMPTED), ended(0)], Outcome.PREEMPTED, "taken"),
        ([start(), STARTED, stop(StopReason.PREEMPTED), ended(0, -9)], Outcome.PREEMPTED, "taken"),
        ([start(), STARTED, stop(StopReason.PAUSED), ended(0)], Outcome.STOPPED, "paused"),
        ([start(), STARTED, stop(StopReason.GANG_BROKEN), ended(0, 1)], Outcome.STOPPED, "gang"),
        ([start(), ended(0, 125, "no engine").model_copy(update={"lost": True})], Outcome.LOST,
         "rank 0: no engine"),
        ([start(), StartFailed(run_id="r", reason="no disk")], Outcome.LOST, "no disk"),
        ([start(), stop(StopReason.CLOSED), StartFailed(run_id="r", reason="told")],
         Outcome.STOPPED, "told"),
        ([start(), stop(StopReason.PREEMPTED), StartFailed(run_id="r", reason="told")],
         Outcome.PREEMPTED, "told"),
        ([start(slots=2), STARTED, ended(1, 3, "boom"), ended(0, -9)], Outcome.FAILED, "rank 1: b"),
        ([start(slots=2), STARTED, ended(1), ended(0)], Outcome.COMPLETED, "ended"),
        ([DRAIN, start()], Outcome.PREEMPTED, "goes away"),
        ([stop(StopReason.PREEMPTED), start()], Outcome.PREEMPTED, "before it started"),
        ([stop(StopReason.CLOSED), stop(StopReason.CLOSED), start()], Outcome.STOPPED,
         "told to stop (closed), before it started"),
    ],
)  # fmt: skip
def test_how_a_run_ends(bodies: list[Any], outcome: Outcome, reason: str) -> None:
    events, runner = told(*bodies)
    exits = [e for group in events for e in group if isinstance(e, RunExited)]
    assert [e.outcome for e in exits] == [outcome]
    assert reason in exits[0].reason
    assert runner.state.runs == {}


GONE = "RuntimeError: [gloo/transport/tcp/pair.cc:553] Connection closed by peer [::1]:7. GLHF!"


@pytest.mark.parametrize(
    ("bodies", "reason", "code", "echo"),
    [
        ([ended(0, 1, GONE), ended(1, 1, "x", error="E: boom\nmore", at=100)], "rank 1: E: boom",
         1, False),
        ([ended(0, 1, GONE, error=GONE, at=100), ended(1, -9, error="E: boom", at=99)],
         "rank 1: E: boom", -9, False),
        ([ended(0, 1, "E: a", error="E: a", at=100.5), ended(1, 1, error="E: b", at=100.4)],
         "rank 1: E: b", 1, False),
        ([ended(0, 1, GONE), ended(1, 3, "bad luck")], "rank 1: bad luck", 3, False),
        ([ended(1, -9), ended(0, 1, GONE)], "rank 1: killed by signal 9", -9, False),
        ([ended(0, 1, GONE), ended(1, -9)], f"rank 0: {GONE}", 1, True),
        ([ended(0, 1, GONE), ended(1, 1, GONE)], f"rank 0: {GONE}", 1, True),
        ([stop(StopReason.GANG_BROKEN), ended(0, -15), ended(1, 1, "x", error="E: boom", at=100)],
         "rank 1: E: boom", 1, False),
    ],
)  # fmt: skip
def test_the_reason_is_what_failed_first_and_is_no_echo(
    bodies: list[Any], reason: str, code: int, echo: bool
) -> None:
    events, _ = told(start(slots=2), STARTED, *bodies)
    (end,) = [e for group in events for e in group if isinstance(e, RunExited)]
    assert (end.outcome, end.reason, end.exit_code) == (Outcome.FAILED, reason, code)
    assert end.echo is echo
    assert end.failed_at is not None


@pytest.mark.parametrize(
    "bodies",
    [
        [stop(StopReason.GANG_BROKEN), ended(0, 1, GONE), ended(1, -9)],
        [stop(StopReason.GANG_BROKEN), ended(0, 1, "frame #9: clone"), ended(1, -9)],
        [stop(StopReason.PAUSED), ended(0, 1, error="E: boom", at=100), ended(1)],
    ],
)
def test_what_follows_from_the_order_to_leave_is_no_failure(bodies: list[Any]) -> None:
    events, _ = told(start(slots=2), STARTED, *bodies)
    (end,) = [e for group in events for e in group if isinstance(e, RunExited)]
    assert (end.outcome, end.failed_at) == (Outcome.STOPPED, None)


@pytest.mark.parametrize(
    ("text", "echo"),
    [
        (GONE, True),
        ("torch.distributed.DistNetworkError: Failed to recv, got 0 bytes.", True),
        ("torch.distributed.DistBackendError: NCCL error in: x.cpp:1\nncclRemoteError: A call"
         " failed possibly due to a network error or a remote process exiting.", True),
        ("RuntimeError: rank 1 of 3 on h waited at h:1 for 60 s, and rank 0, 2 did not come: did it"
         " fail before, or can its machine not reach that address and port?", True),
        ("torch.OutOfMemoryError: CUDA out of memory.", False),
        ("RuntimeError: boom", False),
    ],
)  # fmt: skip
def test_what_is_an_echo(text: str, echo: bool) -> None:
    assert is_echo(text) is echo


def test_a_failed_rank_makes_the_others_leave_soon() -> None:
    events, _ = told(start(slots=2), STARTED, ended(0, 1, "boom"))
    assert types(events[-1]) == ["run.rank_exited", "run.stopping"]
    assert events[-1][1].reason is StopReason.GANG_BROKEN  # type: ignore[attr-defined]


def test_orders_for_a_past_life_and_repeated_orders_have_no_effect() -> None:
    events, _ = told(start(incarnation="old"), start(), start(), stop(StopReason.PAUSED),
                     stop(StopReason.PAUSED), ended(0), start(), extend(9))  # fmt: skip
    assert [types(e) for e in events] == [
        [], ["run.accepted"], [], ["run.stopping"], [], ["run.rank_exited", "run.exited"], [], [],
    ]  # fmt: skip


def test_a_target_only_grows() -> None:
    events, runner = told(start(), extend(16), extend(8))
    assert [types(e) for e in events[1:]] == [["run.extended"], []]
    assert runner.state.runs["r"].target == 16


def test_a_notice_reaches_every_run_and_the_last_one_to_end_ends_the_worker() -> None:
    events, runner = told(start("r"), start("s"), DRAIN, DRAIN, ended(0, 0, "", "r"),
                          ended(0, 0, "", "s"))  # fmt: skip
    assert types(events[2]) == ["node.draining", "run.stopping", "run.stopping"]
    assert events[2][1].until == 102.0 + 20  # type: ignore[attr-defined]
    assert events[3] == []
    assert types(events[-1]) == ["run.rank_exited", "run.exited", "node.left"]
    assert runner.state.left


def test_an_idle_worker_leaves_at_once() -> None:
    events, _ = told(DRAIN)
    assert types(events[0]) == ["node.draining", "node.left"]


class TestLaws(DeciderLaws):
    def decider(self) -> Decider[Any]:
        return Desk()

    def messages(self) -> st.SearchStrategy[Any]:
        runs = st.sampled_from(["r", "s"])
        return st.one_of(
            st.builds(start, runs, st.integers(1, 2), st.sampled_from(["i", "i", "old"])),
            st.builds(stop, st.sampled_from(list(StopReason)), runs),
            st.builds(extend, st.integers(1, 20), runs),
            st.builds(ended, st.integers(0, 2), st.sampled_from([0, 0, 1, -9]),
                      st.just("x"), runs),
            st.builds(lambda r: RanksStarted(run_id=r, pids=[1]), runs),
            st.builds(lambda r: StartFailed(run_id=r, reason="x"), runs),
            st.just(DRAIN),
        )  # fmt: skip

    def check(self, state: Any) -> None:
        assert not set(state.runs) & set(state.over)
        for run in state.runs.values():
            assert not run.ended
