"""kill -9 of one of two workers: an elastic trial goes on with the slots that it has."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from shoal.client import Client
from shoal.training.data import Loader
from shoal_local.supervisor import Supervisor

pytestmark = pytest.mark.system
T = TypeVar("T")
DEADLINE = 60.0
SAMPLES, BATCH, STEPS = 24, 6, 60
SCRIPT = """
import time, torch, shoal
run = shoal.init()
model = torch.nn.Linear(1, 1)
replica = torch.nn.parallel.DistributedDataParallel(model) if run.world_size > 1 else model
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.tensor([float(i)]), i) for i in range(24)]
loader = run.loader(data, 6)
step = run.restore(model=model, optimizer=optimizer, loader=loader)
while True:
    for x, indices in loader:
        optimizer.zero_grad()
        (replica(x).square().mean() * loader.weight).backward()
        optimizer.step()
        step += 1
        time.sleep(0.05)
        print("batch", step, run.world_size, *indices.tolist(), flush=True)
        run.checkpoint(step=step, model=model, optimizer=optimizer, loader=loader)
        run.report(step=step, loss=1.0)
        if run.should_stop():
            raise SystemExit
"""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Of a platform with two machines of one slot each."""
    monkeypatch.setenv("SHOAL_HOME", str(tmp_path / "home"))
    made = Supervisor(tmp_path / "platform", slots=1, machines=2, min_machines=2)
    with made as platform, Client(platform.url) as client:
        until(lambda: len(client.nodes()) == 2)
        yield client


def until(found: Callable[[], T]) -> T:
    """The first answer that is not empty."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(0.05)
    raise TimeoutError


def batches(client: Client, experiment: str) -> dict[tuple[int, int], list[int]]:
    """The samples of each step, by attempt and step, over all ranks."""
    found: dict[tuple[int, int], list[int]] = {}
    for piece in client.logs(experiment):
        for line in piece["lines"]:
            word, *numbers = line.split()
            if word == "batch":
                step, _, *samples = map(int, numbers)
                found.setdefault((piece["attempt"], step), []).extend(samples)
    return found


def grants(client: Client, experiment: str) -> list[dict[str, Any]]:
    events = client.events(experiment=experiment, since="start", follow=False)
    return [e for e in events if e["type"] == "allocation.granted"]


@pytest.mark.timeout(180)
def test_an_elastic_trial_goes_on_with_fewer_slots(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    config = {
        "name": "elastic",
        "entrypoint": "python train.py",
        "searcher": {"name": "single", "metric": "loss", "max_time": STEPS},
        "resources": {"slots": {"min": 1, "max": 2}},
        "max_restarts": 0,
    }
    experiment = client.run(config, folder)["experiment_id"]
    trial = f"{experiment}-0"

    def step() -> int:
        return int(client.trial(trial)["step"] or 0)

    until(lambda: client.trials(experiment) and step() >= 10)
    assert client.trial(trial)["slots"] == 2
    node = client.trial(trial)["node_ids"][0]  # with rank 0
    machine = tmp_path / "platform" / "machines" / node / "machine.json"
    killed = time.time()
    psutil.Process(json.loads(machine.read_text())["pid"]).kill()

    until(lambda: client.experiment(experiment)["state"] == "completed")
    first, second = grants(client, experiment)
    assert [len(p["slots"]) for p in first["data"]["placements"]] == [1, 1]
    assert [len(p["slots"]) for p in second["data"]["placements"]] == [1]
    assert second["time"] - killed < 30  # no time-out of a hanging exchange
    assert client.trial(trial)["losses"] == 1

    expected = order(client.trial(trial)["seed"])
    seen = until(lambda: complete(batches(client, experiment)))
    first_again = min(step for attempt, step in seen if attempt == 2)
    assert first_again > 1  # from a checkpoint
    for (attempt, number), samples in seen.items():
        if attempt == 1:  # the killed worker's last lines are not heard
            assert set(samples) <= set(expected[number - 1]), number
        else:
            assert samples == expected[number - 1], number


def complete(found: dict[tuple[int, int], list[int]]) -> dict[tuple[int, int], list[int]]:
    """What was found, if the last step is there."""
    return found if (2, STEPS) in found else {}


def order(seed: int) -> list[list[int]]:
    """The global batches of all steps, as one slot would see them."""
    loader, found = Loader(range(SAMPLES), BATCH, seed=seed), []
    while len(found) < STEPS:
        found += loader.order()
        loader.epoch += 1
    return found
