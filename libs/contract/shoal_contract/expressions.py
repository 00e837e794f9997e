"""Conditions on hyperparameters, as people write them: `lr * batch <= 4`, `optimizer == 'sgd'`.

Python's arithmetic, comparisons, `and`, `or`, `not`, `in`, and abs, min, max, sqrt, log, log2,
log10. Nested hyperparameters by dotted name. Evaluated by simpleeval, which runs no code:
https://github.com/danthedeckie/simpleeval
"""

import ast
import math
from collections.abc import Mapping
from typing import Any

from simpleeval import (
    AttributeDoesNotExist,
    EvalWithCompoundTypes,
    InvalidExpression,
    IterableTooLong,
    NameNotDefined,
    NumberTooHigh,
)

FUNCTIONS = {
    "abs": abs, "min": min, "max": max, "sqrt": math.sqrt,
    "log": math.log, "log2": math.log2, "log10": math.log10,
}  # fmt: skip


_UNSAID = (
    NameNotDefined, AttributeDoesNotExist, NumberTooHigh, IterableTooLong,
    LookupError, TypeError, ArithmeticError, ValueError, AttributeError,
)  # fmt: skip


class ExpressionError(ValueError):
    """A condition that cannot be read. The text says what is wrong."""


def names(expression: str) -> list[str]:
    """The hyperparameters that a condition is about, by dotted name, each once.

    Raises ExpressionError if it is no condition.

    >>> names("opt.lr * batch <= 4")
    ['opt.lr', 'batch']
    """
    try:
        tree = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ExpressionError(f"{expression!r} cannot be read as a condition") from error
    found: dict[str, None] = {}
    _collect(tree, found)
    return list(found)


def holds(expression: str, values: Mapping[str, Any]) -> bool | None:
    """Whether a condition holds of `values`, which may be nested. None: it cannot be said, since
    it is about something that is not there, of another kind or too large to be computed.

    Raises ExpressionError if it is no condition.
    """
    try:
        return bool(_evaluate(expression, values))
    except _UNSAID:
        return None
    except InvalidExpression as error:
        raise ExpressionError(f"{expression!r} is no condition: {error}") from error
    except SyntaxError as error:
        raise ExpressionError(f"{expression!r} cannot be read as a condition") from error


def _evaluate(expression: str, values: Mapping[str, Any]) -> Any:
    # The evaluator adds to the functions that it is given, so it gets a copy.
    return EvalWithCompoundTypes(names=dict(values), functions=dict(FUNCTIONS)).eval(expression)


def _collect(node: ast.AST, found: dict[str, None]) -> None:
    name = _dotted(node)
    if name is not None:
        found[name] = None
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.Call) and child is node.func and isinstance(child, ast.Name):
            if child.id not in FUNCTIONS:
                raise ExpressionError(
                    f"there is no function {child.id!r}; there are {', '.join(FUNCTIONS)}"
                )
            continue
        _collect(child, found)


def _dotted(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = _dotted(node.value)
        return None if head is None else f"{head}.{node.attr}"
    return None
