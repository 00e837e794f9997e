"""What a training may rely on: it is told at once, it is never stopped by the worker's troubles,
and what nobody needs any more is cleaned up."""

import json
import os
import signal
from pathlib import Path

import psutil
import pytest
from integration.worker.desk import Desk, desk
from waiting import until

from shoal_contract import events as ev
from shoal_contract.parse import parse_experiment
from shoal_contract.states import Outcome, StopReason

__all__ = ["desk"]

EVALUATION = """
import time, torch, shoal
run = shoal.init()
run.report(step=1, loss=1.0)
while not run.preempted:  # no step ends here
    time.sleep(0.005)
heard = time.time()
assert run.should_stop()
run.checkpoint(step=1, model=torch.nn.Linear(1, 1))
print("heard", heard)
"""
STEPS = """
import os, time, shoal
run = shoal.init()
for step in range(1, 61):
    run.report(step=step, loss=1.0 / step)
    while step == 5 and not os.path.exists(os.environ.get("GO", "/")):
        time.sleep(0.005)
    if step % 10 == 0:
        run.report(step=step, acc=step / 100)
    time.sleep(0.02)
print("done", time.time())
"""
SAVING = """
import itertools, time, torch, shoal
run = shoal.init()
model = torch.nn.Linear(1, 1)
for step in itertools.count(1):
    run.report(step=step, acc=1.0 / (1 + abs(step - 3)))
    run.checkpoint(step=step, wait=True, model=model)
    if run.should_stop():
        break
    time.sleep(0.1)
"""


def steps(attempt: Path) -> list[int]:
    """Of the checkpoints in storage."""
    return sorted(int(folder.name[5:]) for folder in attempt.glob("step-*"))


def by_script(event: ev.TrainingReported) -> bool:
    """Whether the script reported it, not the machine."""
    return event.group == "training"


async def words(desk: Desk, first: str) -> list[float]:
    """The numbers that ranks wrote after `first`, when all logs are there."""
    logs = [e for e in desk.seen if isinstance(e, ev.LogWritten)]
    return [float(x.split()[1]) for e in logs for x in e.lines if x.startswith(first)]


async def test_a_notice_is_heard_at_once_by_all_ranks_wherever_they_are(desk: Desk) -> None:
    await desk.begin()
    order = await desk.start("e-0", 2, bundle=desk.code(EVALUATION))
    await desk.find(ev.TrainingReported, by_script)
    await desk.stop(order, StopReason.PREEMPTED)
    assert (await desk.exit(order)).outcome is Outcome.PREEMPTED
    stopping = await desk.find(ev.RunStopping)
    await desk.find(ev.LogWritten, lambda e: any("heard" in x for x in e.lines), count=2)
    heard = await words(desk, "heard")
    assert max(heard) - (stopping.until - 20) < 2  # a loaded machine; else milliseconds
    assert (await desk.saved(order, 1)).checkpoint.step == 1


async def test_a_worker_that_hangs_does_not_stop_training(desk: Desk) -> None:
    """Everything that was reported meanwhile arrives, once and in order."""
    await desk.begin()
    go = desk.folder / "go"
    order = await desk.start(
        "e-0", bundle=desk.code(STEPS), target=1000, environment={"GO": str(go)}
    )
    await desk.find(ev.TrainingReported, by_script)
    assert desk.worker is not None
    desk.worker.send_signal(signal.SIGSTOP)
    go.touch()
    logs = desk.folder / "state" / "runs" / order.run_id / "logs" / "rank-0.stdout"
    await until(lambda: b"done" in logs.read_bytes())
    desk.worker.send_signal(signal.SIGCONT)
    end = await desk.exit(order)
    assert (end.outcome, end.last_step) == (Outcome.COMPLETED, 60)
    await desk.find(ev.ValidationReported, lambda e: e.step == 60)
    await desk.find(ev.TrainingReported, lambda e: e.step == 60 and "loss" in e.metrics)
    seen = [one.step for one in desk.reported() if "loss" in one.metrics]
    assert sorted(seen) == list(range(1, 61))
    assert [e.step for e in desk.seen if isinstance(e, ev.ValidationReported)] == [
        10, 20, 30, 40, 50, 60,
    ]  # fmt: skip


async def test_records_go_to_storage_and_the_folder_goes(desk: Desk) -> None:
    await desk.begin(SHOAL_USAGE_INTERVAL="0.2")
    order = await desk.start("e-0", bundle=desk.code(STEPS), target=1000)
    await desk.exit(order)
    folder = desk.folder / "state" / "runs" / order.run_id
    await until(lambda: not folder.exists())
    trial = desk.folder / "store" / "e-0"
    assert "done" in (trial / "a1" / "logs" / "rank-0.stdout").read_text()
    (events,) = (trial / "tensorboard").iterdir()
    assert events.stat().st_size > 60 * 30
    system = await desk.find(ev.TrainingReported, lambda e: e.group == "system")
    assert 0 < system.metrics["host_memory"] < 1
    assert system.source == "n"


async def test_too_many_lines_are_counted_and_kept_in_storage(desk: Desk) -> None:
    script = "for n in range(5000):\n    print('line', n)\n"
    await desk.begin(SHOAL_LOG_LINES="100")
    order = await desk.start("e-0", bundle=desk.code(script))
    await desk.exit(order)

    def logs() -> list[ev.LogWritten]:
        return [e for e in desk.seen if isinstance(e, ev.LogWritten) and e.stream == "stdout"]

    await until(lambda: sum(e.dropped or len(e.lines) for e in logs()) == 5000)
    said = [e for e in logs() if e.dropped]
    assert said
    assert all(len(e.lines) == 1 and f"{e.dropped} lines are left out" in e.lines[0] for e in said)
    kept = {e.sequence + k: x for e in logs() if not e.dropped for k, x in enumerate(e.lines)}
    assert 1000 <= len(kept) < 5000
    assert all(line == f"line {number}" for number, line in kept.items())
    file = desk.folder / "store" / "e-0" / "a1" / "logs" / "rank-0.stdout"
    await until(lambda: file.exists() and file.read_text().count("\n") == 5000)


async def test_ranks_see_neither_the_workers_secrets_nor_its_files(desk: Desk) -> None:
    script = (
        "import json, os, resource\n"
        "fds = [os.readlink(f'/proc/self/fd/{f}') for f in os.listdir('/proc/self/fd')"
        " if os.path.exists(f'/proc/self/fd/{f}')]\n"
        "print(json.dumps([dict(os.environ), fds, resource.getrlimit(resource.RLIMIT_CORE)]))\n"
    )
    await desk.begin(SHOAL_SECRET="hush", AWS_SECRET_ACCESS_KEY="hush")
    order = await desk.start("e-0", bundle=desk.code(script))
    assert (await desk.exit(order)).outcome is Outcome.COMPLETED
    log = await desk.find(ev.LogWritten, lambda e: e.stream == "stdout")
    env, files, core = json.loads(log.lines[0])
    assert "hush" not in json.dumps(env)
    assert core == [0, 0]
    assert [f for f in files if "socket" in f or "eventpoll" in f] == []
    assert len([f for f in files if "pipe" in f]) == 1  # the guard's, which says when it ends
    assert desk.worker is not None
    if os.geteuid() != 0:  # root may read everything
        try:
            content = Path(f"/proc/{desk.worker.pid}/environ").read_bytes()
        except PermissionError:
            content = b""
        assert b"hush" not in content


async def test_checkpoints_that_nobody_needs_are_removed(desk: Desk) -> None:
    """The test plays the searcher: it notes each checkpoint, and at last the search is over."""
    config = parse_experiment(
        {
            "name": "x", "entrypoint": "python train.py",
            "searcher": {
                "name": "single", "metric": "acc", "smaller_is_better": False, "max_time": 9,
            },
        }
    )  # fmt: skip
    accepted = ev.SearchAccepted(
        experiment_id="e", config=config, bundle=None, storage_url=f"file://{desk.folder}/store"
    )
    await desk.say(accepted)
    await desk.begin()
    order = await desk.start("e-0", bundle=desk.code(SAVING), target=10**6)
    ids = {"experiment_id": "e", "trial_id": "e-0"}
    sixth = await desk.saved(order, 6)
    attempt = desk.folder / "store" / "e-0" / "a1"
    second = (await desk.saved(order, 1)).checkpoint.url.rsplit("-", 1)[0] + "-2"
    pin = ev.CheckpointChangeRequested(**ids, url=second, change="pin")
    await desk.say(pin)
    await desk.say(ev.TrialCheckpointed(**ids, checkpoint=sixth.checkpoint))
    # While it goes on, the best stays, and what is newer than what the searcher knows.
    await until(lambda: not ({1, 5} & set(steps(attempt))))
    assert (attempt / "step-3" / "manifest.json").exists()
    await desk.stop(order, StopReason.PAUSED)
    await desk.exit(order)
    await desk.say(ev.SearchCompleted(experiment_id="e", reason="over"))
    newest = steps(attempt)[-1]
    await until(lambda: len(steps(attempt)) == 3)
    assert steps(attempt) == [2, 3, newest]
    await desk.say(pin.model_copy(update={"change": "unpin"}))
    await until(lambda: steps(attempt) == [3, newest])
    best = second[:-1] + "3"
    await desk.say(ev.CheckpointChangeRequested(**ids, url=best, change="remove"))
    await desk.find(ev.CheckpointRemoved, lambda e: e.url == best)
    assert steps(attempt) == [newest]


async def test_a_script_runs_as_it_is(desk: Desk) -> None:
    """What was written for torchrun finds all that torchrun would give."""
    script = (
        "import os, torch, torch.distributed as dist\n"
        "dist.init_process_group('gloo')\n"
        "rank = torch.tensor(float(os.environ['LOCAL_RANK']))\n"
        "dist.all_reduce(rank)\n"
        "names = ('WORLD_SIZE', 'LOCAL_WORLD_SIZE', 'GROUP_RANK', 'GROUP_WORLD_SIZE')\n"
        "print(rank.item(), *(os.environ[name] for name in names))\n"
        "dist.destroy_process_group()\n"
    )
    await desk.begin()
    order = await desk.start("e-0", 2, bundle=desk.code(script))
    assert (await desk.exit(order)).outcome is Outcome.COMPLETED
    log = await desk.find(ev.LogWritten, lambda e: e.stream == "stdout", count=2)
    assert log.lines == ["1.0 2 2 0 1"]


LOADING = """
import torch, shoal
run = shoal.init()
loader = run.loader(torch.arange(8.0), 4, num_workers=2)
for epoch in (1, 2):
    total = sum(float(batch.sum()) for batch in loader)
    run.report(step=epoch, acc=total)
"""


@pytest.mark.parametrize("warm", ["1", "0"], ids=["warm", "cold"])
async def test_workers_of_a_loader_write_nothing(desk: Desk, warm: str) -> None:
    await desk.begin(SHOAL_WARM=warm)
    order = await desk.start("e-0", bundle=desk.code(LOADING), target=9)
    assert (await desk.exit(order)).outcome is Outcome.COMPLETED
    report = await desk.find(ev.ValidationReported, lambda e: e.step == 2)
    assert report.metrics["acc"] == 28
    stored = desk.folder / "store" / "e-0" / "a1" / "logs"
    folder = desk.folder / "state" / "runs" / order.run_id
    await until(lambda: not folder.exists())
    assert not (stored / "rank-0.stderr").exists(), (stored / "rank-0.stderr").read_text()


async def test_a_script_without_the_sdk_is_told_to_leave(desk: Desk) -> None:
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved'), sys.exit(0)))\n"
        "print('up')\n"
        "time.sleep(600)\n"
    )
    await desk.begin()
    order = await desk.start("e-0", bundle=desk.code(script))
    await desk.find(ev.LogWritten, lambda e: "up" in e.lines)
    await desk.stop(order, StopReason.PAUSED, grace=300)
    assert (await desk.exit(order)).outcome is Outcome.STOPPED
    await desk.find(ev.LogWritten, lambda e: "saved" in e.lines)


async def test_the_rest_of_a_gang_that_completes_may_end_by_itself(desk: Desk) -> None:
    """What the scheduler orders when the run on another machine completed first."""
    script = "import os, time; print('up'); time.sleep(1.5); print('done', time.time())"
    await desk.begin()
    order = await desk.start("e-0", bundle=desk.code(script))
    await desk.find(ev.LogWritten, lambda e: "up" in e.lines)
    await desk.stop(order, StopReason.GANG_BROKEN, grace=300)
    await desk.exit(order)
    await desk.find(ev.LogWritten, lambda e: any("done" in line for line in e.lines))


async def test_a_worker_that_is_killed_is_known_to_be_gone_with_its_ranks(desk: Desk) -> None:
    await desk.begin()
    await desk.start("e-0", bundle=desk.code("print('last words', flush=True)\n" + EVALUATION))
    rank = psutil.Process((await desk.find(ev.RunStarted)).pids[0])
    await desk.find(ev.TrainingReported, by_script)
    assert desk.worker is not None
    desk.worker.kill()
    left = await desk.find(ev.NodeLeft)
    assert left.incarnation == desk.node.incarnation
    assert not rank.is_running()
    file = desk.folder / "store" / "e-0" / "a1" / "logs" / "rank-0.stdout"
    await until(lambda: file.exists() and "last words" in file.read_text())
