"""Determined experiment files become ours, and nothing is lost without a word."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from shoal.cli.app import app
from shoal.migrate import Note, migrate
from shoal_contract.parse import parse_experiment

ADAPTIVE = """
name: mnist_pytorch_adaptive_search
data: {url: https://example.com/mnist.tar.gz}
hyperparameters:
  learning_rate: {type: log, minval: -5.0, maxval: 0.0, base: 10}
  n_filters1: {type: int, minval: 8, maxval: 64}
  dropout1: {type: double, minval: 0.2, maxval: 0.8}
  optimizer: {type: categorical, vals: [sgd, adam]}
  global_batch_size: 64
searcher:
  name: adaptive_asha
  metric: validation_loss
  smaller_is_better: true
  max_trials: 16
  time_metric: batches
  max_time: 937
entrypoint: python3 train.py
"""
EPOCHS = """
name: cifar
entrypoint: python3 -m determined.launch.torch_distributed python3 train.py --lr 0.1
records_per_epoch: 50000
hyperparameters: {global_batch_size: {type: const, val: 32}}
searcher: {name: adaptive_asha, metric: accuracy, smaller_is_better: false,
           max_length: {epochs: 32}, max_trials: 64, mode: aggressive, max_rungs: 4, divisor: 3,
           max_concurrent_trials: 8, bracket_rungs: [2, 3]}
resources: {slots_per_trial: 8, max_slots: 32, weight: 2, priority: 10, resource_pool: v100,
            shm_size: 4g, is_single_node: false}
environment:
  image: {cuda: "determinedai/pytorch-ngc:0.38.0", cpu: "determinedai/pytorch-ngc:0.38.0"}
  environment_variables: ["NCCL_DEBUG=INFO", "A=b=c", "NOVALUE"]
  pod_spec: {spec: {containers: []}}
  force_pull_image: true
checkpoint_storage: {type: shared_fs, host_path: /mnt/shared, storage_path: determined,
                     save_experiment_best: 2, save_trial_best: 1, save_trial_latest: 3}
checkpoint_policy: all
bind_mounts: [{host_path: /data/cells, container_path: /cells, read_only: true}]
max_restarts: 2
labels: [vision, cells]
workspace: Cell Lab
project: microscopy
profiling: {enabled: true}
log_policies: [{pattern: ".*CUDA out of memory.*", action: {type: cancel_retries}}]
reproducibility: {experiment_seed: 17}
min_validation_period: {epochs: 1}
perform_initial_validation: true
"""
GRID = """
name: grid
entrypoint: [python3, train.py]
hyperparameters:
  layer:
    width: {type: int, minval: 1, maxval: 3, count: 3}
    kind: {type: categorical, vals: [a, b]}
  lr: {type: log, minval: -3, maxval: -1, base: 10, count: 2}
searcher: {name: grid, metric: loss, max_length: {batches: 100}, max_concurrent_trials: 4}
"""
RANDOM = """
name: random
entrypoint: model_def:MNistTrial
searcher: {name: random, metric: loss, max_length: {records: 6400}, max_trials: 5,
           source_trial_id: 12}
hyperparameters: {global_batch_size: 64}
"""
SINGLE = """
entrypoint: cd src && python3 train.py
searcher: {name: single, metric: loss}
checkpoint_storage: {type: gcs, bucket: my-bucket, prefix: /runs/}
"""
HALVING = """
name: halving
entrypoint: python3 -m determined.launch.torch_distributed --trial model_def:Net
searcher: {name: async_halving, metric: loss, max_length: 400, num_rungs: 3, divisor: 4,
           max_trials: 20, stop_once: true}
checkpoint_storage: {type: s3, bucket: b, access_key: x, secret_key: y, endpoint_url: "http://s"}
"""
PBT = """
name: pbt
entrypoint: python3 train.py
hyperparameters: {lr: {type: double, minval: 0.01, maxval: 0.1}}
searcher:
  name: pbt
  metric: loss
  population_size: 20
  num_rounds: 8
  length_per_round: {batches: 500}
  replace_function: {truncate_fraction: 0.2}
  explore_function: {resample_probability: 0.3, perturb_factor: 0.1}
"""
SIMPLE = """
name: older
description: from 2020
labels: {first: true}
entrypoint: model_def:Trial
searcher: {name: adaptive_simple, metric: loss, max_length: {epochs: 4}, max_trials: 9}
optimizations: {aggregation_frequency: 2}
resources: {slots_per_trial: 0, agent_label: big, native_parallel: false}
environment: {environment_variables: {cpu: ["A=1"], gpu: ["A=2", "B=3"]}}
scheduling_unit: 50
surprise: 1
"""
CUSTOM = """
name: custom
entrypoint: python3 train.py
searcher: {name: custom, metric: loss, unit: batches, time_metric: images, max_time: 5}
"""
SYNC = """
name: sync
entrypoint: python3 train.py
searcher: {name: sync_halving, metric: loss, num_rungs: 3, max_length: {batches: 90}, budget:
           {batches: 900}, train_stragglers: true}
checkpoint_storage: {type: directory, container_path: /ckpts}
"""
EVERY = [ADAPTIVE, EPOCHS, GRID, RANDOM, SINGLE, HALVING, PBT, SIMPLE, CUSTOM, SYNC]


def migrated(text: str) -> tuple[dict[str, Any], dict[str, list[Note]]]:
    new, notes = migrate(yaml.safe_load(text))
    by_kind: dict[str, list[Note]] = {"todo": [], "changed": [], "gone": []}
    for note in notes:
        by_kind[note.kind].append(note)
    return new, by_kind


def paths(notes: list[Note]) -> set[str]:
    return {note.path for note in notes}


@pytest.mark.parametrize("text", EVERY)
def test_the_result_is_an_experiment_of_ours(text: str) -> None:
    new, _ = migrated(text)
    assert parse_experiment(new).name


@pytest.mark.parametrize("text", EVERY)
def test_every_top_level_field_arrives_or_is_told(text: str) -> None:
    old = yaml.safe_load(text)
    new, notes = migrate(old)
    told = {note.path.split(".")[0] for note in notes}
    moved = {"workspace": "resources", "data": "hyperparameters", "reproducibility": "seed"}
    silent = {f for f in old if f not in told and moved.get(f, f) not in new}
    assert silent == set()


def test_an_adaptive_search_counted_in_batches() -> None:
    new, notes = migrated(ADAPTIVE)
    searcher = new["searcher"]
    assert (searcher["max_time"], searcher["max_trials"], searcher["stop_once"]) == (937, 16, True)
    assert "time_metric" not in searcher
    assert new["hyperparameters"]["data"] == {
        "type": "const",
        "val": {"url": "https://example.com/mnist.tar.gz"},
    }
    assert paths(notes["changed"]) == {"data", "searcher.time_metric", "searcher.stop_once"}
    assert (notes["todo"], notes["gone"]) == ([], [])


def test_everything_a_large_file_says() -> None:
    new, notes = migrated(EPOCHS)
    assert new["entrypoint"] == ["python3", "train.py", "--lr", "0.1"]
    assert new["searcher"] == {
        "name": "adaptive_asha", "metric": "accuracy", "smaller_is_better": False,
        "time_metric": "epochs", "max_time": 32, "max_trials": 64, "max_concurrent_trials": 8,
        "divisor": 3, "mode": "aggressive", "max_rungs": 4, "bracket_rungs": [2, 3],
    }  # fmt: skip
    assert new["resources"] == {
        "slots_per_trial": 8, "max_slots": 32, "weight": 2, "priority": 10,
        "resource_pool": "v100", "single_node": False, "workspace": "Cell-Lab",
    }  # fmt: skip
    assert new["environment"] == {
        "environment_variables": {"NCCL_DEBUG": "INFO", "A": "b=c"},
        "image": "determinedai/pytorch-ngc:0.38.0",
    }
    assert new["checkpoint_storage"] == {
        "url": "file:///mnt/shared/determined",
        "save_experiment_best": 2, "save_trial_best": 1, "save_trial_latest": 3,
    }  # fmt: skip
    assert (new["seed"], new["max_restarts"]) == (17, 2)
    assert (new["labels"], new["project"]) == (["vision", "cells"], "microscopy")
    assert paths(notes["todo"]) == {
        "searcher.max_length", "resources.resource_pool", "bind_mounts.0", "environment.image",
        "project",
    }  # fmt: skip
    assert paths(notes["gone"]) == {
        "resources.shm_size", "environment.pod_spec",
        "environment.force_pull_image", "environment.environment_variables.NOVALUE",
        "checkpoint_policy", "profiling", "log_policies", "min_validation_period",
        "perform_initial_validation", "records_per_epoch",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (GRID, {"name": "grid", "metric": "loss", "max_time": 100, "max_concurrent_trials": 4}),
        (RANDOM, {"name": "random", "metric": "loss", "max_time": 100, "max_trials": 5}),
        (SINGLE, {"name": "single", "metric": "loss", "max_time": 1}),
        (
            HALVING,
            {"name": "async_halving", "metric": "loss", "max_time": 400, "max_trials": 20,
             "divisor": 4, "stop_once": True, "num_rungs": 3},
        ),
        (
            PBT,
            {"name": "pbt", "metric": "loss", "max_time": 4000, "population_size": 20, "rounds": 8,
             "truncate_fraction": 0.2, "resample_probability": 0.3, "perturb_factor": 0.1},
        ),
        (
            SIMPLE,
            {"name": "adaptive_asha", "metric": "loss", "time_metric": "epochs", "max_time": 4,
             "max_trials": 9},
        ),
        (CUSTOM, {"name": "custom", "metric": "loss", "time_metric": "images", "max_time": 5}),
        (
            SYNC,
            {"name": "async_halving", "metric": "loss", "max_time": 90, "num_rungs": 3,
             "max_trials": 16},
        ),
    ],
)  # fmt: skip
def test_searchers(text: str, part: dict[str, Any]) -> None:
    assert migrated(text)[0]["searcher"] == part


@pytest.mark.parametrize(
    ("text", "kind", "path"),
    [
        (RANDOM, "gone", "searcher.source_trial_id"),
        (RANDOM, "todo", "entrypoint"),
        (RANDOM, "changed", "searcher.max_length"),
        (SINGLE, "todo", "searcher.max_time"),
        (HALVING, "todo", "entrypoint"),
        (HALVING, "gone", "checkpoint_storage.secret_key"),
        (SIMPLE, "gone", "surprise"),
        (SIMPLE, "gone", "optimizations"),
        (SIMPLE, "changed", "resources.slots_per_trial"),
        (SIMPLE, "changed", "environment.environment_variables"),
        (SIMPLE, "changed", "searcher.name"),
        (CUSTOM, "todo", "searcher.name"),
        (CUSTOM, "gone", "searcher.unit"),
        (SYNC, "gone", "searcher.budget"),
        (SYNC, "todo", "searcher.max_trials"),
    ],
)
def test_what_is_told(text: str, kind: str, path: str) -> None:
    assert path in paths(migrated(text)[1][kind])


@pytest.mark.parametrize(
    ("entrypoint", "ours"),
    [
        ("python3 train.py --x 1", ["python3", "train.py", "--x", "1"]),
        ("cd a && python b.py", ["sh", "-c", "cd a && python b.py"]),
        ("python3 -m determined.launch.deepspeed -- train.py", ["python3", "train.py"]),
        ("python3 -m determined.launch.horovod --autohorovod python3 t.py", ["python3", "t.py"]),
        ("python3 -m determined.launch.horovod -m pkg.t", ["python3", "-m", "pkg.t"]),
        ("pkg.model_def:Trial", ["python", "pkg/model_def.py"]),
        (None, ["python", "train.py"]),
    ],
)  # fmt: skip
def test_entrypoints(entrypoint: str | None, ours: list[str]) -> None:
    assert migrate({"entrypoint": entrypoint, "searcher": {}})[0]["entrypoint"] == ours


def test_the_command_writes_and_tells(tmp_path: Path) -> None:
    file, target = tmp_path / "old.yaml", tmp_path / "new.yaml"
    file.write_text(EPOCHS)
    result = CliRunner().invoke(app, ["migrate", str(file), str(target)])
    assert (result.exit_code, result.stdout) == (0, "")
    assert parse_experiment(yaml.safe_load(target.read_text())).searcher.max_time == 32
    assert result.stderr.startswith("To do before it runs:\n  ")
    assert "environment.image: is run as docker or podman has it" in result.stderr
    result = CliRunner().invoke(app, ["migrate", str(file), "--json"])
    assert {note["kind"] for note in json.loads(result.stdout)["notes"]} == {
        "todo", "changed", "gone",
    }  # fmt: skip


def test_what_is_ours_already_stays_as_it_is(tmp_path: Path) -> None:
    file, target = tmp_path / "ours.yaml", tmp_path / "new.yaml"
    text = """# mine
name: digits
entrypoint: python train.py
searcher: {name: async_halving, metric: loss, max_time: 16, max_trials: 8}
"""
    file.write_text(text)
    result = CliRunner().invoke(app, ["migrate", str(file), str(target)])
    assert (result.exit_code, result.stdout, target.read_text()) == (0, "", text)
    assert result.stderr == f"{file} is an experiment of Shoal already: it stays as it is.\n"
    assert CliRunner().invoke(app, ["migrate", str(file)]).stdout == text
    found = json.loads(CliRunner().invoke(app, ["migrate", str(file), "-o", "json"]).stdout)
    assert (found["config"]["name"], found["notes"]) == ("digits", [])
    file.write_text(text.replace("max_time: 16", "max_time: 16, time_metric: batches"))
    assert "stop_once: true" in CliRunner().invoke(app, ["migrate", str(file)]).stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("searcher: 3", "searcher must be a mapping"),
        ("searcher: {name: single, max_length: {hours: 3}}", "must be a number of batches"),
    ],
)
def test_what_is_no_such_file_is_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "old.yaml"
    file.write_text(text)
    result = CliRunner().invoke(app, ["migrate", str(file)])
    assert result.exit_code == 1
    assert words in str(result.exception)
