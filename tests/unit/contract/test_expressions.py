"""Conditions on hyperparameters: what they are about, and whether they hold."""

from typing import Any

import pytest

from shoal_contract import expressions
from shoal_contract.expressions import ExpressionError, holds, names
from shoal_contract.ranges import flatten, nest

VALUES: dict[str, Any] = {
    "lr": 0.01, "batch": 64, "opt": {"name": "sgd", "beta": {"one": 0.9}}, "k": [3, 1], "n": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr * batch <= 4", True),
        ("lr * batch > 4", False),
        ("opt.name == 'sgd'", True),
        ("opt.beta.one < 0.5 or lr < 1", True),
        ("not (opt.name in ['adam', 'rmsprop'])", True),
        ("batch % 32 == 0 and batch // 2 == 32", True),
        ("min(batch, 7) == 7 and max(1, abs(-3)) == 3", True),
        ("log10(lr) <= -2 and log2(batch) == 6 and sqrt(batch) == 8 and log(1) == 0", True),
        ("1e-3 < lr < 1e-1", True),
        ("k[0] == 3", True),
        ("n == None", True),
        ("1 if lr else 0", True),
        # nothing can be said
        ("momentum > 1", None),
        ("opt.momentum > 1", None),
        ("opt.name.length > 1", None),
        ("opt.name < 3", None),
        ("n < 3", None),
        ("k[5] == 1", None),
        ("lr / (batch - 64) > 1", None),
        ("log(lr - 1) > 1", None),
        ("10.0 ** (batch * 10) > 1", None),
        ("2 ** (batch ** 9) > 1", None),
        ("'a' * (batch ** 9) == 'b'", None),
        ("min() == 1", None),
    ],
)
def test_holds(text: str, expected: bool | None) -> None:
    assert holds(text, VALUES) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr < 1", ["lr"]),
        ("lr * lr < batch", ["lr", "batch"]),
        ("opt.beta.one < opt.name", ["opt.beta.one", "opt.name"]),
        ("max(a, b) > 1", ["a", "b"]),
        ("1 < 2", []),
        ("'lr' == 'batch'", []),
    ],
)
def test_names(text: str, expected: list[str]) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr <", "cannot be read"),
        ("", "cannot be read"),
        ("lr = 3", "cannot be read"),
        ("import os", "cannot be read"),
        ("(" * 500, "cannot be read"),
        ("sin(lr) > 0", "no function 'sin'; there are abs, min, max, sqrt, log, log2, log10"),
        ("exec('1')", "no function 'exec'"),
        ("list(lr) == []", "no function 'list'"),
        ("set([lr]) == 1", "no function 'set'"),
    ],
)
def test_what_is_no_condition(text: str, said: str) -> None:
    holds("lr < 1 and k[0] == 3", VALUES)  # what was evaluated before makes no difference
    with pytest.raises(ExpressionError, match=said.replace("(", r"\(")):
        names(text)


@pytest.mark.parametrize("text", ["lr.__class__ == 1", "(lambda: 1)() == 1"])
def test_no_code_is_run(text: str) -> None:
    with pytest.raises(ExpressionError, match="is no condition"):
        holds(text, VALUES)


def test_the_functions_are_those_that_are_told() -> None:
    holds("k == [1]", VALUES)
    assert list(expressions.FUNCTIONS) == ["abs", "min", "max", "sqrt", "log", "log2", "log10"]


def test_flattening_and_nesting_are_each_others_reverse() -> None:
    space = {"a": 1, "b": {"c": 2, "d": {"e": 3}}, "f": {1: "x", 2: "y"}}
    flat = flatten(space)
    assert flat == {"a": 1, "b.c": 2, "b.d.e": 3, "f.1": "x", "f.2": "y"}
    assert nest(flat, space) == space
