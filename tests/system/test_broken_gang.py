"""A rank of two, on a machine each, raises an exception: the trial says which, and what."""

from pathlib import Path

import pytest
from integration.worker.test_worker import BROKEN
from system.test_elastic import client, until

from shoal.client import Client

__all__ = ["client"]
pytestmark = pytest.mark.system


@pytest.mark.timeout(180)
def test_the_rank_that_broke_a_gang_is_named(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "train.py").write_text(BROKEN)
    config = {
        "name": "broken",
        "entrypoint": "python train.py",
        "searcher": {"name": "single", "metric": "loss", "max_time": 1},
        "resources": {"slots_per_trial": 2},
        "max_restarts": 0,
    }
    experiment = client.run(config, folder)["experiment_id"]
    until(lambda: client.experiment(experiment)["state"] == "failed")
    (run,) = until(lambda: [r for r in client.runs(experiment) if r["ended_at"]])
    assert len(run["node_ids"]) == 2
    assert (run["outcome"], run["reason"]) == ("failed", "rank 1: ValueError: boom on rank 1")
