"""Saving in the background: what is saved is the moment of the call, and errors are told."""

import threading
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch
from torch import nn

from shoal.training import checkpoints, saver
from shoal.training.checkpoints import CheckpointError, Folder
from shoal.training.saver import Figures, Saver
from shoal.training.snapshot import Snapshots


class Gate:
    """Holds the writing up until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        real = Folder.write

        def write(folder: Folder, name: str, part: Any) -> dict[str, Any]:
            assert self.open.wait(10)
            return real(folder, name, part)

        monkeypatch.setattr(Folder, "write", write)


def test_training_goes_on_while_a_checkpoint_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    told: list[tuple[checkpoints.Checkpoint, Figures]] = []
    made = Saver(f"file://{tmp_path}", 1, 0, lambda *found: told.append(found))
    model = nn.Linear(3, 2)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    made.save(1, {"model": model}, wait=False)
    with torch.no_grad():
        model.weight.zero_()  # training goes on
    assert told == []
    assert not (tmp_path / "step-1" / checkpoints.MANIFEST).exists()
    gate.open.set()
    made.finish()
    found, figures = told[0]
    assert (found.step, figures.size) == (1, found.size)
    assert figures.stall >= 0
    loaded = checkpoints.load(found.url)["model"]
    assert all(torch.equal(loaded[k], before[k]) for k in before)


def test_a_step_is_saved_once_and_one_is_under_way_at_most(tmp_path: Path) -> None:
    told: list[int] = []
    made = Saver(f"file://{tmp_path}", 1, 0, lambda found, _: told.append(found.step))
    for step in (1, 1, 2, 2):
        made.save(step, {"x": torch.ones(2)}, wait=False)
    made.finish()
    assert told == [1, 2]


def test_an_error_is_told_at_the_next_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saver, "PAUSES", (0.0,))
    (tmp_path / "file").write_text("")  # a folder cannot be made there
    made = Saver(f"file://{tmp_path}/file", 1, 0, lambda *_: None)
    made.save(1, {"x": torch.ones(2)}, wait=False)
    with pytest.raises(CheckpointError, match="could not be written"):
        made.save(2, {"x": torch.ones(2)}, wait=False)


def test_storage_that_cannot_be_opened_is_an_error_at_once() -> None:
    made = Saver("nowhere://b/x", 1, 0, lambda *_: None)
    with pytest.raises(CheckpointError, match="nowhere:// is no kind of storage"):
        made.save(1, {"x": torch.ones(2)}, wait=True)
    with pytest.raises(CheckpointError, match="nowhere:// is no kind of storage"):
        made.save(1, {"x": torch.ones(2)}, wait=True)  # it is still not there
    made.save(2, {"x": torch.ones(2)}, wait=False)
    with pytest.raises(CheckpointError, match="nowhere:// is no kind of storage"):
        made.finish()


class HttpError(Exception):
    """As clouds' file systems have them: no OSError."""


@pytest.mark.parametrize("method", ["begin", "write", "finish"])
def test_storage_that_fails_once_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(saver, "PAUSES", (0.0,))
    real, calls = getattr(Folder, method), []

    def failing(folder: Folder, *given: Any) -> Any:
        calls.append(given)
        if len(calls) == 1:
            raise HttpError("503")
        return real(folder, *given)

    monkeypatch.setattr(Folder, method, failing)
    told: list[checkpoints.Checkpoint] = []
    made = Saver(f"file://{tmp_path}", 1, 0, lambda found, _: told.append(found))
    made.save(1, {"x": torch.ones(2)}, wait=True)
    assert checkpoints.load(told[0].url)["x"].tolist() == [1, 1]


def test_storage_that_never_takes_the_manifest_fails_clearly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saver, "PAUSES", (0.0, 0.0))
    calls = []

    def finish(*_: Any) -> None:
        calls.append(1)
        raise HttpError("503")

    monkeypatch.setattr(Folder, "finish", finish)
    made = Saver(f"file://{tmp_path}", 1, 0, lambda *_: None)
    with pytest.raises(CheckpointError, match="could not be written: 503"):
        made.save(1, {"x": torch.ones(2)}, wait=True)
    assert len(calls) == 3


def test_what_cannot_be_saved_is_not_tried_again(tmp_path: Path) -> None:
    made = Saver(f"file://{tmp_path}", 1, 0, lambda *_: None)
    with pytest.raises(CheckpointError, match=r"x\.pt cannot be saved"):
        made.save(1, {"x": Hidden()}, wait=True)


class Hidden:
    """It can be copied, not pickled."""

    def __deepcopy__(self, _: Any) -> "Hidden":
        return self

    def __reduce__(self) -> Any:
        raise TypeError("not this one")


def test_any_storage_will_do() -> None:
    url = "memory://shoal-test/c"
    found = checkpoints.save(url, {"x": torch.arange(3)}, step=2, attempt=1)
    assert checkpoints.load(found.url)["x"].tolist() == [0, 1, 2]
    assert checkpoints.newest("memory://shoal-test") == found
    fsspec.filesystem("memory").rm("/shoal-test", recursive=True)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (exec, ("raise SystemExit",))

    found = checkpoints.save(f"file://{tmp_path}/c", {"x": Evil()}, step=1, attempt=1)
    with pytest.raises(CheckpointError, match=r"x\.pt cannot be loaded"):
        checkpoints.load(found.url)


def test_a_snapshot_keeps_structure_ties_and_buffers() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    state = {"a": weight, "b": weight, "list": [torch.zeros(1), 3], "none": None}
    taken = (snapshots := Snapshots()).take(state)
    assert taken["a"] is taken["b"]
    assert taken["list"][1] == 3
    pointer = taken["a"].data_ptr()
    with torch.no_grad():
        weight.fill_(5)
    assert taken["a"].sum() == 4
    again = snapshots.take(state)
    assert again["a"].data_ptr() == pointer
    assert again["a"].sum() == 20
