"""Callbacks in the examples: stand-alone runs that are cut and go on."""

import runpy
from pathlib import Path
from typing import Any

import pytest

import shoal

EXAMPLES = Path(__file__).parents[3] / "examples"


class Example:
    """Runs an example with its checkpoints in a folder of the test."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
        self._folder, self._patch, self._capfd = folder, monkeypatch, capfd
        self._init = shoal.init
        monkeypatch.chdir(folder)

    def run(self, name: str, max_time: int) -> list[int]:
        """The steps that it reported."""
        more = {"storage": f"file://{self._folder}/store", "max_time": max_time}
        runs: list[Any] = []

        def init(**given: Any) -> Any:
            runs.append(self._init(**{**given, **more}))
            return runs[0]

        self._patch.setattr(shoal, "init", init)
        runpy.run_path(str(EXAMPLES / name / "train.py"), run_name="__main__")
        runs[0].finish()  # as the end of a process does
        lines = self._capfd.readouterr().err.splitlines()
        return [int(x.split()[1]) for x in lines if x.startswith("step ") and "accuracy" in x]


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> Example:
    return Example(tmp_path, monkeypatch, capfd)


def test_a_plain_loop(example: Example) -> None:
    assert example.run("plain", 42) == [21, 42]
    assert example.run("plain", 63) == [63]


def test_lightning(example: Example) -> None:
    assert example.run("lightning", 1) == [1]
    assert example.run("lightning", 3) == [2, 3]


@pytest.mark.timeout(300)
def test_transformers(example: Example) -> None:
    assert example.run("transformers", 20) == [20]
    assert example.run("transformers", 40) == [40]
