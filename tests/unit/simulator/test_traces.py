"""Clusters played from traces, and the figures that come of them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from shoal_simulator.__main__ import app
from shoal_simulator.cluster import Scenario, Simulation
from shoal_simulator.cluster_command import read
from shoal_simulator.curves import CurvesError

CONFIG = {
    "name": "job", "entrypoint": "python t.py",
    "searcher": {"name": "single", "metric": "loss", "max_time": 10},
}  # fmt: skip


def job(units: int, slots: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "config": CONFIG
        | {
            "searcher": CONFIG["searcher"] | {"max_time": units},  # type: ignore[operator]
            "resources": {"slots_per_trial": slots},
        },
        **more,
    }


def cluster(*jobs: dict[str, Any], slots: int = 4, **more: Any) -> Scenario:
    nodes = [{"count": 1, "slots": slots}]
    return Scenario.model_validate({"nodes": nodes, "experiments": list(jobs), **more})


def file(folder: Path, **content: Any) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(yaml.safe_dump({"nodes": [{"count": 1, "slots": 4}], **content}))
    return path


def test_a_trace_of_jobs(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(
        "at,units,slots,seconds_per_unit,name\n0,100,1,2,slow\n30,100,2,,\n"
    )
    traced = {"at": 5, "trace": "jobs.csv", "config": CONFIG}
    first, second = read(file(tmp_path, experiments=[traced, job(3)])).experiments[:2]
    assert (first.at, first.seconds_per_unit, first.config["name"]) == (5, 2, "slow")
    assert first.config["resources"]["slots_per_trial"] == 1
    assert (second.at, second.seconds_per_unit, second.config["name"]) == (35, 1, "job")
    assert second.config["searcher"] == CONFIG["searcher"] | {"max_time": 100}  # type: ignore[operator]


def test_traces_of_what_a_cloud_had(tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text("# seconds, machines\n0,4\n60,4\n120,1\n")
    (tmp_path / "there.json").write_text(
        json.dumps({"metadata": {"gap_seconds": 100}, "data": [1, 1, 0, 1]})
    )
    clouds = {
        "a": {"capacity": {"trace": "lines.csv"}},
        "b": {"capacity": {"trace": "there.json", "machines": 8, "begin": 150}},
    }
    found = read(file(tmp_path, experiments=[job(1)], clouds=clouds)).clouds
    assert found["a"].capacity == [(0, 4), (120, 1)]
    assert found["b"].capacity == [(0, 8), (50, 0), (150, 8)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("jobs.csv", "at,steps\n0,1\n", "its columns are to be of at, units"),
        ("jobs.csv", "at,units\n0,1\n5,many\n", "line 3: units: 'many'"),
        ("other.csv", "", "jobs.csv cannot be read"),
    ],
)
def test_a_bad_trace_of_jobs_is_one_sentence(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    path = file(tmp_path, experiments=[{"trace": "jobs.csv", "config": CONFIG}])
    with pytest.raises(CurvesError, match=said):
        read(path)


def test_a_bad_trace_of_a_cloud_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("[]")
    for capacity, said in (({"trace": "t.json"}, "is no trace"), ({"file": "t.json"}, "trace: FI")):
        path = file(tmp_path, experiments=[job(1)], clouds={"a": {"capacity": capacity}})
        with pytest.raises(CurvesError, match=said):
            read(path)


def test_a_larger_gang_is_faster() -> None:
    def seconds(slots: int, **more: Any) -> float:
        found = Simulation(cluster(job(600, slots, **more))).run().mean_completion
        assert found is not None
        return found

    one, four = seconds(1), seconds(4)
    assert one == pytest.approx(600, abs=10)
    assert four == pytest.approx(150, abs=10)
    assert seconds(4, scaling=0) == pytest.approx(one, abs=1)
    assert seconds(4, scaling=0.5) == pytest.approx(300, abs=10)


def test_slots_that_lie_idle_while_somebody_waits_are_fragmentation() -> None:
    """Three of four slots are held for 600 s; nobody can use the last one but a gang of one."""
    alone = Simulation(cluster(job(1800, 3))).run()
    gang = Simulation(cluster(job(1800, 3), job(10, 2, at=10))).run()
    small = Simulation(cluster(job(1800, 3), job(10, 1, at=10), slots=4)).run()
    labelled = job(10, at=10)
    labelled["config"]["resources"] = {"node_labels": {"rack": "b"}}
    stuck = Simulation(cluster(job(1800, 3), labelled, until=600)).run()
    assert alone.fragmentation == gang.fragmentation == 0
    assert small.fragmentation < 0.01
    assert stuck.fragmentation == pytest.approx(590 / 2400, abs=0.02)


def test_fairness_is_one_if_all_fare_alike() -> None:
    alike = Simulation(cluster(job(600), job(600))).run()
    unlike = Simulation(cluster(job(600, 4), job(150, 4, at=1))).run()
    assert alike.fairness == pytest.approx(1, abs=0.01)
    assert unlike.fairness is not None
    assert unlike.fairness < 0.9


def test_it_says_so_if_not_all_came_to_an_end(tmp_path: Path) -> None:
    path = file(tmp_path, experiments=[job(100)], until=20)
    done = CliRunner().invoke(app, ["simulate", str(path)])
    assert done.exit_code == 0
    assert "In 1 of 1 runs not all experiments had ended after 20 s" in done.stdout
