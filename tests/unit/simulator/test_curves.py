"""Recorded learning curves: finding a configuration's, and what is said of a bad file."""

import gzip
import math
from pathlib import Path
from typing import Any

import pytest
from unit.simulator.tables import ROWS, SPACE, table, written

from shoal_simulator.curves import Curves, CurvesError

LOG = {"lr": {"type": "log", "minval": -4, "maxval": -1}, "n": {"type": "int", "minval": 1,
       "maxval": 9}}  # fmt: skip
LOG_ROWS = [
    {"hyperparameters": {"lr": lr, "n": n}, "seconds": [1], "loss": [lr * n]}
    for lr in (1e-4, 1e-3, 1e-2, 1e-1)
    for n in (1, 5, 9)
]


@pytest.mark.parametrize(
    ("values", "nearest"),
    [
        ({"lr": 1e-3, "n": 5}, (1e-3, 5)),
        ({"lr": 2.9e-3, "n": 2}, (1e-3, 1)),  # in the exponent, below the middle of 3.16e-3
        ({"lr": 3.3e-3, "n": 8}, (1e-2, 9)),
        ({"lr": 9.0, "n": 100}, (1e-1, 9)),
        ({"lr": 1e-9, "n": 3.2}, (1e-4, 5)),
    ],
)
def test_a_configuration_finds_its_nearest(values: dict[str, Any], nearest: Any) -> None:
    lr, n = nearest
    assert table(LOG_ROWS, LOG).find(values).metrics["loss"] == [lr * n]


def test_the_table_knows_its_best_and_its_length() -> None:
    found = table()
    assert (len(found), found.max_time) == (4, 4)
    assert found.best("loss", True) == 0.5
    assert found.best("loss", False) == 6.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_never_the_best(bad: float) -> None:
    rows = [{"hyperparameters": {"x": 9}, "seconds": [1, 1, 1, 1], "loss": [1.0, 1.0, 1.0, bad]}]
    assert table(rows + ROWS).best("loss", True) == 0.5
    assert table(rows + ROWS).best("loss", False) == 6.0
    with pytest.raises(CurvesError, match="no metric 'loss'"):
        table(rows).best("loss", True)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "the curves know 'x', which the search leaves out"),
        ({"x": 7}, "x: 7 was not recorded; there are [0, 1, 2, 3]"),
        ({"x": "a"}, "x: 'a' was not recorded"),
    ],
)
def test_what_was_not_recorded(values: dict[str, Any], said: str) -> None:
    with pytest.raises(CurvesError) as caught:
        table().find(values)
    assert said in str(caught.value)


def test_a_hole_in_the_grid() -> None:
    with pytest.raises(CurvesError, match="no curve was recorded for"):
        table(LOG_ROWS[:-1], LOG).find({"lr": 1e-1, "n": 9})


@pytest.mark.parametrize("name", ["curves.json", "curves.json.gz"])
def test_a_file_may_be_gzipped(tmp_path: Path, name: str) -> None:
    assert len(Curves.load(written(tmp_path / name))) == 4


def without(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in (ROWS[0] | changes).items() if value is not None}


@pytest.mark.parametrize(
    "changes",
    [
        {"space": None},
        {"space": 3},
        {"space": {"x": {"type": "int", "minval": 3}}},
        {"configurations": None},
        {"configurations": []},
        {"configurations": 3},
        {"configurations": [3]},
        {"configurations": [without(hyperparameters=None)]},
        {"configurations": [without(hyperparameters=[])]},
        {"configurations": [without(hyperparameters={})]},
        {"configurations": [without(seconds=None)]},
        {"configurations": [without(seconds=3)]},
        {"configurations": [without(loss=[1.0])]},
        {"configurations": [without(loss=1.0)]},
        {"configurations": [without(hyperparameters={"x": [1]})]},
    ],
)
def test_a_bad_table_is_one_sentence(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(CurvesError, match="holds no learning curves") as caught:
        Curves.load(written(tmp_path / "curves.json", **changes))
    assert "curves.json" in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b"null", b"\x1f\x8b", b"\x1f\x8bnonsense",
        gzip.compress(b"{}" * 999, mtime=0)[:-9],
        gzip.compress(b"[1, 2]", mtime=0), b"\xff\xfe\x00",
    ],
)  # fmt: skip
def test_a_bad_file_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "curves"
    path.write_bytes(data)
    with pytest.raises(CurvesError, match=r"holds no learning curves|cannot be read"):
        Curves.load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CurvesError, match="cannot be read: No such file"):
        Curves.load(tmp_path / "nothing")


def test_the_space_is_the_files() -> None:
    assert list(table().leaves) == list(SPACE)
