"""The command: its JSON, its exit codes, and one sentence where something is wrong."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner
from unit.simulator.tables import SPACE, written

from shoal_simulator.__main__ import app


def file(folder: Path, **changes: Any) -> Path:
    searcher = {"name": "grid", "metric": "loss", "max_time": 4, "max_concurrent_trials": 2}
    data = {
        "name": "e", "entrypoint": "python t.py", "hyperparameters": SPACE,
        "searcher": searcher | changes.pop("searcher", {}),
    } | changes  # fmt: skip
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def printed(*args: str) -> str:
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def simulated(*args: str) -> str:
    return printed("search", "simulate", *args)


def run(*args: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-m", "shoal_simulator", *args], capture_output=True,
                          text=True, timeout=60, check=False)  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_preview_as_json_and_for_people(tmp_path: Path) -> None:
    path = file(tmp_path, searcher={"name": "async_halving", "max_trials": 16, "divisor": 2})
    found = json.loads(printed("search", "preview", str(path), "--json"))
    assert found["brackets"] == [{"rungs": [1, 2, 4], "max_trials": 16, "max_concurrent_trials": 2}]
    assert (found["total_units"], found["full_units"]) == (16 + 8 + 4 * 2, 64)
    text = printed("search", "preview", str(path))
    assert "1 2 4" in text
    assert "About 32 step in all, 2 times less than every trial in full (64)." in text


@pytest.mark.parametrize(
    ("searcher", "said"),
    [
        ({"name": "grid"}, "About 16 step in all."),
        ({"name": "random", "max_trials": 3}, "About 12 step in all."),
        ({"name": "pbt", "population_size": 4}, "About 16 step in all."),
        ({"name": "random", "max_trials": 5, "budget": {"units": 10}},
         "About 10 step in all, when its budget ends it, 2 times less than every trial in full"
         " (20)."),
        ({"name": "custom"},
         "Its program decides how many trials there are, and how far each trains: at most 4 step."),
    ],
)  # fmt: skip
def test_preview_says_what_it_costs_and_what_it_saves(
    tmp_path: Path, searcher: dict[str, Any], said: str
) -> None:
    text = printed("search", "preview", str(file(tmp_path, searcher=searcher)))
    assert text.splitlines()[-1] == said


def test_a_search_that_would_be_refused_is_not_previewed(tmp_path: Path) -> None:
    path = file(tmp_path, searcher={"name": "random", "max_trials": 2}, constraints=["x > 10"])
    code, out, err = run("search", "preview", str(path))
    assert (code, out) == (1, "")
    assert err.startswith("shoal: constraints: ")
    assert len(err.splitlines()) == 1


def test_simulate_as_json(tmp_path: Path) -> None:
    curves = written(tmp_path / "curves.json.gz")
    found = json.loads(
        simulated(str(file(tmp_path)), "--curves", str(curves), "--workers", "1",
                "--seeds", "2", "--within", "1", "--json")
    )  # fmt: skip
    assert (found["best_of_table"], found["target"], found["table_units"]) == (0.5, 1.0, 16)
    assert (found["reached"], found["median_seconds"], found["median_units"]) == (2, 12.0, 8.0)
    assert found["searches"] == [
        {"seed": seed, "seconds_to_target": 12.0, "units_to_target": 8, "best": 0.5,
         "seconds": 28.0, "units": 16, "trials": 4}
        for seed in range(2)
    ]  # fmt: skip


def test_simulate_for_people(tmp_path: Path) -> None:
    curves = written(tmp_path / "curves.json")
    text = simulated(str(file(tmp_path)), "--curves", str(curves), "--workers", "1",
                   "--seeds", "2", "--within", "1")  # fmt: skip
    assert "Reached in 2 of 2 searches on 1 slots." in text
    assert "Median to the target: 8 step and 12 s; training all in full takes 16, 2 times" in text


def test_half_of_the_searches_have_no_median(tmp_path: Path) -> None:
    curves = written(tmp_path / "curves.json")
    path = file(tmp_path, searcher={"name": "random", "max_trials": 1, "max_concurrent_trials": 1})
    text = simulated(str(path), "--curves", str(curves), "--seeds", "4",
                     "--within", "1")  # fmt: skip
    assert "Reached in 1 of 4 searches on 8 slots.\nNo median: it takes more than half" in text


def test_a_search_that_never_gets_there(tmp_path: Path) -> None:
    curves = written(tmp_path / "curves.json")
    path = file(tmp_path, hyperparameters={"x": {"type": "categorical", "vals": [0, 2]}})
    found = json.loads(simulated(str(path), "--curves", str(curves), "--seeds", "1", "--json"))
    assert (found["reached"], found["median_seconds"], found["median_units"]) == (0, None, None)
    assert found["searches"][0]["seconds_to_target"] is None


def test_the_json_has_no_nan(tmp_path: Path) -> None:
    rows = [{"hyperparameters": {"x": n}, "seconds": [1] * 4,
             "loss": [float("nan")] * 3 + [1.0 if n else float("nan")]}
            for n in range(4)]  # fmt: skip
    curves = written(tmp_path / "curves.json", configurations=rows)
    path = file(tmp_path, hyperparameters={"x": {"type": "categorical", "vals": [0]}})
    text = simulated(str(path), "--curves", str(curves), "--seeds", "1", "--json")
    assert "NaN" not in text
    assert json.loads(text)["searches"][0]["best"] is None


def test_a_plot(tmp_path: Path) -> None:
    curves, plot = written(tmp_path / "curves.json"), tmp_path / "plot.png"
    text = simulated(str(file(tmp_path)), "--curves", str(curves), "--seeds", "1",
                   "--plot", str(plot))  # fmt: skip
    assert f"Plot: {plot}" in text
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: f / "nothing.yaml", "nothing.yaml cannot be read: No such file"),
        (lambda f: f, "cannot be read: Is a directory"),
        (lambda f: _text(f, b"a: [1"), "is no YAML: while parsing"),
        (lambda f: _text(f, b"\xff\xfe\xfa"), "is no YAML"),
        (lambda f: _text(f, b"- 1"), "must be a mapping"),
        (lambda f: file(f, searcher={"max_trails": 3}), "searcher.max_trails: there is no such"),
        (lambda f: file(f, searcher={"name": "gird"}), "Did you mean 'grid'?"),
    ],
)
def test_a_bad_file_is_one_sentence_and_exit_code_1(tmp_path: Path, make: Any, said: str) -> None:
    code, out, err = run("search", "preview", str(make(tmp_path)))
    assert (code, out) == (1, "")
    assert err.startswith("shoal: ")
    assert said in err
    assert len(err.splitlines()) == 1


def _text(folder: Path, data: bytes) -> Path:
    path = folder / "bad.yaml"
    path.write_bytes(data)
    return path


def test_bad_curves_are_one_sentence_and_a_bad_option_is_exit_code_2(tmp_path: Path) -> None:
    code, _, err = run(
        "search", "simulate", str(file(tmp_path)), "--curves", str(tmp_path / "none")
    )
    assert (code, len(err.splitlines())) == (1, 1)
    assert "cannot be read" in err
    assert run("search", "simulate", str(file(tmp_path)))[0] == 2
    assert run("search", "preview", str(file(tmp_path)), "--jsn")[0] == 2
