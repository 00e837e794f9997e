"""The searcher's process asks a sampler in a child: its answers are kept, its death is survived,
and it never outlives its parent."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.searcher.helpers import becomes, report, submit
from unit.searcher.pool import config

from shoal_bus.history import read_all
from shoal_contract.subjects import SEARCH, all_of

TPE = {
    "max_trials": 40, "max_concurrent_trials": 2, "sampler": {"name": "tpe", "startup_trials": 2},
}  # fmt: skip


def started(nats_url: str, **more: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "shoal_searcher"],
        env={**os.environ, "SHOAL_NATS_URL": nats_url, "SHOAL_REPLICA": "s0", **more},
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture
def searcher(nats_url: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = started(nats_url)
    yield process
    process.kill()
    process.wait()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def child_of(pid: int) -> int | None:
    """The process in which samplers compute (the other child keeps account of resources)."""
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            folder = Path("/proc", name)
            if not name.isdigit() or f"PPid:\t{pid}\n" not in (folder / "status").read_text():
                continue
            if b"spawn_main" in (folder / "cmdline").read_bytes() and alive(int(name)):
                return int(name)
    return None


class Search:
    """Trains one trial after the other, until something holds."""

    def __init__(self, bus: Any) -> None:
        self.bus, self.next = bus, 0

    async def step(self) -> None:
        trial_id = f"e-{self.next}"
        await becomes(self.bus, "trial.requested", len, "e", trial_id)
        await report(self.bus, trial_id, 64, 1.0 + self.next % 5)
        await becomes(self.bus, "trial.completed", len, "e", trial_id)
        self.next += 1

    async def steps_until(self, done: Any) -> list[Any]:
        """The sampler's answers, once `done` holds of them; another trial trains each second."""
        for _ in range(30):
            with contextlib.suppress(TimeoutError):
                return await becomes(self.bus, "search.proposed", done, "e", seconds=1)
            await self.step()
        raise AssertionError("it never came")


def answered(number: int) -> Any:
    return lambda found: sum(bool(e.proposals) for e in found) >= number


async def test_proposals_come_from_the_child_and_a_dead_one_is_replaced(
    searcher: "subprocess.Popen[bytes]", bus: Any
) -> None:
    one = await bus("gateway")
    await submit(one, "e", config("random", **TPE))
    search = Search(one)
    await search.step()
    await search.step()
    proposed = await search.steps_until(answered(1))
    assert (proposed[0].sampler, proposed[0].known >= 2) == ("tpe", True)
    assert all(1e-4 <= p["lr"] <= 0.1 for p in proposed[0].proposals)
    await search.step()
    made = await becomes(
        one, "trial.created", lambda found: any(e.origin == "tpe" for e in found), "e"
    )
    used = next(e for e in made if e.origin == "tpe")
    everything = await becomes(one, "search.proposed", len, "e")
    assert used.hyperparameters["lr"] in [p["lr"] for e in everything for p in e.proposals]

    child = child_of(searcher.pid)
    assert child is not None
    os.kill(child, signal.SIGKILL)
    before = sum(bool(e.proposals) for e in everything)
    await search.steps_until(answered(before + 2))
    again = child_of(searcher.pid)
    assert again not in (None, child)
    assert searcher.poll() is None


async def test_the_first_trials_are_requested_before_a_sampler_has_been_loaded(
    searcher: "subprocess.Popen[bytes]", bus: Any
) -> None:
    one = await bus("gateway")
    await submit(one, "e", config("random", **TPE | {"sampler": "nsgaii"}))
    await becomes(one, "search.proposed", answered(1), "e")
    wanted = [all_of("trial.requested", "e"), all_of("search.proposed", "e")]
    heard = [envelope.event.type for envelope in await read_all(one, SEARCH, wanted)]
    assert heard == ["trial.requested", "trial.requested", "search.proposed"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_no_child_is_left_behind(
    searcher: "subprocess.Popen[bytes]", bus: Any, number: signal.Signals
) -> None:
    one = await bus("gateway")
    await submit(one, "e", config("random", **TPE | {"sampler": "nsgaii"}))
    await becomes(one, "search.proposed", answered(1), "e")
    child = child_of(searcher.pid)
    assert child is not None
    searcher.send_signal(number)
    for _ in range(400):
        if searcher.poll() is not None and not alive(child):
            break
        await asyncio.sleep(0.05)
    assert not alive(child)
    assert searcher.returncode == (0 if number is signal.SIGTERM else -number)


async def test_a_searcher_that_comes_back_goes_on_with_what_was_proposed(
    searcher: "subprocess.Popen[bytes]", bus: Any, nats_url: str
) -> None:
    one = await bus("gateway")
    await submit(one, "e", config("random", **TPE | {"sampler": "nsgaii"}))
    await becomes(one, "search.proposed", answered(1), "e")
    search = Search(one)
    for _ in range(3):
        await search.step()
    searcher.kill()
    searcher.wait()
    again = started(nats_url)
    try:
        for _ in range(4):
            await search.step()
        made = await becomes(one, "trial.created", lambda found: len(found) >= 8, "e")
        proposed = await becomes(one, "search.proposed", len, "e")
        tried = [e.hyperparameters["lr"] for e in made if e.origin == "nsgaii"]
        assert tried == [p["lr"] for e in proposed for p in e.proposals][: len(tried)]
        assert len(tried) >= 4  # a draw takes a place where an answer is awaited
    finally:
        again.kill()
        again.wait()


async def test_a_sampler_that_cannot_work_says_why(bus: Any, nats_url: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('there is no torch')")
    process = started(nats_url, PYTHONPATH=str(tmp_path))
    try:
        one = await bus("gateway")
        await submit(one, "e", config("random", **TPE | {"sampler": {"name": "gp"}}))
        search = Search(one)
        failed = (await search.steps_until(len))[0]
        why = "gp needs the extra shoal-searcher[gp] (there is no torch)"
        assert (failed.proposals, failed.failure) == ([], why)
        await search.step()
        reason = f"the sampler failed: {why}"
        made = await becomes(
            one, "trial.created", lambda found: any(e.reason == reason for e in found), "e"
        )
        assert {e.origin for e in made} == {"random"}
    finally:
        process.kill()
        process.wait()
